# Traces its own children: not needed by any server, and half of the kernel's tracing bugs begin so.
import os
import signal

from common import call, finish, hit, in_child

if in_child(lambda: call("ptrace", 0, 0, 0, 0)[1]) == 0:
    hit("a child offered itself")
pid = os.fork()
if pid == 0:
    signal.pause()
if call("ptrace", 0x4206, pid, 0, 0)[0] == 0:
    hit("a child was seized")
os.kill(pid, signal.SIGKILL)
finish()
