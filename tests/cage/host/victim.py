# A process of the same user, with a secret in its environment, its memory and a descriptor, and with System V and
# POSIX objects of its own. Every signal that arrives is written down: victim.py FACTS LOG
import ctypes
import json
import os
import signal
import sys

with open(sys.argv[1]) as file:
    facts = json.load(file)
canary = facts["canary"][::-1].encode()
log = os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)


def note(number, _frame):
    os.write(log, f"{signal.Signals(number).name} ".encode())


for number in ("USR1", "USR2", "HUP", "INT", "TERM", "CONT", "IO", "ALRM", "QUIT", "PIPE", "WINCH", "URG"):
    signal.signal(getattr(signal, "SIG" + number), note)
kept = os.open(facts["secrets"][0], os.O_RDONLY)
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
key = facts["ipc_key"]
segment = libc.shmget(key, 4096, 0o1600)
ctypes.memmove(libc.shmat(segment, None, 0), canary, len(canary))
semaphores = libc.semget(key, 1, 0o1600)
queue = libc.msgget(key, 0o1600)
libc.msgsnd(queue, ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0" + canary), len(canary), 0)
name = ("/" + facts["mark"]).encode()
posix = libc.mq_open(name, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, None)
libc.mq_send(posix, canary, len(canary), 0)
with open("/dev/shm/" + facts["mark"] + ".host", "wb") as file:
    file.write(canary)
print("READY", os.getpid(), kept, ctypes.addressof(ctypes.create_string_buffer(canary)), flush=True)
try:
    while sys.stdin.read(1):
        pass
finally:
    libc.shmctl(segment, 0, None)
    libc.semctl(semaphores, 0, 0)
    libc.msgctl(queue, 0, None)
    libc.mq_unlink(name)
    os.unlink("/dev/shm/" + facts["mark"] + ".host")
