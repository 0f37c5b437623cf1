# Leaves a daemon behind: two forks, a session of its own, all signals ignored, nothing open, another name.
# range: seconds=15
import os
import signal
import time
from contextlib import suppress

from common import PROJECT, finish, libc

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)
        libc.prctl(15, b"kworker/0:1", 0, 0, 0)
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        beat = os.open(PROJECT + "/beat", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        for _ in range(200):
            os.write(beat, b".")
            time.sleep(0.05)
        os._exit(0)
    os._exit(0)
os.wait()
time.sleep(0.2)
finish("the host looks")
