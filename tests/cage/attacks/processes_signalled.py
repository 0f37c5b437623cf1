# Signals a process of the same user: kill, killpg, tgkill, queued, by pidfd, by a descriptor's owner, by its group.
# The process writes down what arrives.
# range: world=victim
import ctypes
import fcntl
import os
import signal
import socket
from contextlib import suppress

from common import call, facts, finish

victim = facts["victim"]
with suppress(OSError):
    os.kill(victim, signal.SIGUSR1)
with suppress(OSError):
    os.killpg(victim, signal.SIGUSR1)
call("tgkill", victim, victim, signal.SIGUSR2)
information = ctypes.create_string_buffer(128)
ctypes.memmove(information, (ctypes.c_int * 3)(signal.SIGUSR2, 0, -1), 12)
call("rt_sigqueueinfo", victim, signal.SIGUSR2, information)
process, _ = call("pidfd_open", victim, 0)
if process >= 0:
    call("pidfd_send_signal", process, signal.SIGUSR1, 0, 0)
with suppress(OSError):
    left, right = socket.socketpair()
    fcntl.fcntl(left, fcntl.F_SETOWN, victim)
    fcntl.fcntl(left, fcntl.F_SETFL, fcntl.fcntl(left, fcntl.F_GETFL) | os.O_ASYNC)
    right.send(b"x")
finish("the host looks")
