# Opens System V and POSIX objects of the host: shared memory, semaphores, queues (srt has no IPC namespace).
# range: world=victim
import ctypes
import os
from contextlib import suppress

from common import CANARY, MARK, facts, finish, hit, libc, secret

key = facts["ipc_key"]
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(key, 0, 0)
if segment >= 0:
    address = libc.shmat(segment, None, 0o10000)
    hit("shared memory" + (": its secret" if secret(ctypes.string_at(address, len(CANARY))) else ""))
if libc.semget(key, 0, 0) >= 0:
    hit("semaphores")
queue = libc.msgget(key, 0)
if queue >= 0:
    hit("a message queue")
posix = libc.mq_open(("/" + MARK).encode(), os.O_RDWR | os.O_NONBLOCK)
if posix >= 0:
    libc.mq_receive(posix, ctypes.create_string_buffer(1 << 16), 1 << 16, None)
    hit("a POSIX queue")
with suppress(OSError):
    if secret(open(f"/dev/shm/{MARK}.host").read()):
        hit("POSIX shared memory")
with suppress(OSError):
    if any(str(key) in line for name in ("shm", "sem", "msg") for line in open(f"/proc/sysvipc/{name}")):
        hit("/proc/sysvipc")
finish()
