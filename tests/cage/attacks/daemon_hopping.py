# Leaves something behind that is never long the same process: each forks the next and ends (past kill loops over /proc).
# range: seconds=15
import os
import time

from common import PROJECT, finish

if os.fork() == 0:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    beat = os.open(PROJECT + "/beat", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    end = time.time() + 8
    while time.time() < end:
        os.write(beat, b".")
        time.sleep(0.005)
        if os.fork():
            os._exit(0)
    os._exit(0)
time.sleep(0.3)
finish("the host looks")
