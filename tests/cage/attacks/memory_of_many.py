# Twelve processes take 70 MB each, none of them much by itself.
# range: ended=yes heavy=yes
import os
import signal
import time
from contextlib import suppress

from common import facts, finish, hit

reading, writing = os.pipe()
children = []
for _ in range(12):
    pid = os.fork()
    if pid == 0:
        kept = []
        for _ in range(14):
            kept.append(bytearray(5 << 20))
            kept[-1][::4096] = b"x" * (5 << 20 >> 12)
            os.write(writing, b".")
            time.sleep(0.01)
        time.sleep(10)
        os._exit(0)
    children.append(pid)
time.sleep(1.5)
os.set_blocking(reading, False)
taken = 0
with suppress(BlockingIOError):
    taken = len(os.read(reading, 1000)) * 5
alive = sum(not os.waitpid(pid, os.WNOHANG)[0] for pid in children)
for pid in children:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
if alive == 12 and taken > facts["limits"]["memory"] + 60:
    hit(f"{taken} MB by {alive} processes")
finish(f"{taken} MB, {alive} alive")
