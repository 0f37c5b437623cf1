# Takes memory of the kernel: sockets whose buffers are full and that nobody reads, 900 MB at most.
# range: ended=yes heavy=yes caged=sums
# What the kernel holds for a process is in no number of that process: only a control group counts it.
import os
import signal
import socket
import time
from contextlib import suppress

from common import facts, finish, hit

reading, writing = os.pipe()
block = b"x" * 65536


def fill():
    held = []
    with suppress(OSError):
        for _ in range(480):
            pair = socket.socketpair()
            held.append(pair)
            for end in pair:
                end.setblocking(False)
                with suppress(BlockingIOError):
                    while True:
                        end.send(block)
                os.write(writing, b".")
    time.sleep(10)


children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        fill()
        os._exit(0)
    children.append(pid)
time.sleep(2)
os.set_blocking(reading, False)
taken = 0
with suppress(BlockingIOError):
    taken = len(os.read(reading, 10_000)) * 208 >> 10
alive = sum(not os.waitpid(pid, os.WNOHANG)[0] for pid in children)
for pid in children:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
if alive == len(children) and taken > facts["limits"]["memory"] + 60:
    hit(f"{taken} MB by {alive} processes")
finish(f"{taken} MB, {alive} alive")
