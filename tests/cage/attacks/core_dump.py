# Crashes, so that its memory with all secrets is written to a file, or piped into a program that runs as root.
# range: plain=either
# Without a cage it depends on the limit that the tests were started with.
import ctypes
import os
import resource
import signal
from contextlib import suppress

from common import PROJECT, finish, hit, libc

os.chdir(PROJECT)
pid = os.fork()
if pid == 0:
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    libc.prctl(4, 1, 0, 0, 0)
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(8)
status = os.waitpid(pid, 0)[1]
if os.WCOREDUMP(status):
    hit("core dumped")
for name in os.listdir("."):
    if name.startswith("core"):
        hit(name)
finish()
