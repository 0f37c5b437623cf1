# A big process with many small children: what they have in common is there once (a pool of workers, a snapshot).
# range: heavy=yes
import os
import signal
import time

from common import done, works

memory = bytearray(200 << 20)
memory[::4096] = b"x" * (200 << 8)
children = []
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    children.append(pid)
time.sleep(1)
for pid in children:
    os.kill(pid, signal.SIGKILL)
works(all(os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL for pid in children), "20 children of a big process")
done()
