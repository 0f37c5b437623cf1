# Traces a process of the same user, its parent, or the cage's first process: ptrace, process_vm_readv and _writev.
# range: plain=root world=victim
import ctypes
import os
from contextlib import suppress

from common import call, facts, finish, hit

ATTACH, DETACH, SEIZE = 16, 17, 0x4206
buffer = ctypes.create_string_buffer(64)


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


local = Piece(ctypes.addressof(buffer), 32)
for pid in {facts["victim"], os.getppid(), 1 if os.getppid() < 2 else os.getppid()} - {0}:
    if call("ptrace", SEIZE, pid, 0, 0)[0] == 0:
        hit(f"traced {pid}")
        call("ptrace", DETACH, pid, 0, 0)
    elif call("ptrace", ATTACH, pid, 0, 0)[0] == 0:
        hit(f"traced {pid}")
        with suppress(OSError):
            os.waitpid(pid, 0)
        call("ptrace", DETACH, pid, 0, 0)
    remote = Piece(facts["victim_address"], 32)
    if call("process_vm_readv", pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)[0] > 0:
        hit(f"read {pid}")
    with suppress(OSError):
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
        hit(f"memory of {pid} is open")
finish()
