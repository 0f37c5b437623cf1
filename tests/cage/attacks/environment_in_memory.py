# Reads the stack of its parent, or of the cage's first process, where the first environment lies (/proc/pid/mem).
# range: plain=root
import os
from contextlib import suppress

from common import finish, hit, secret

for pid in {os.getppid(), 1 if os.getppid() < 2 else os.getppid()} - {0}:
    with suppress(OSError, StopIteration):
        line = next(line for line in open(f"/proc/{pid}/maps") if "[stack]" in line)
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(start)
            if secret(memory.read(end - start)):
                hit(f"the environment of {pid} lies open")
            else:
                hit(f"memory of {pid} can be read")
finish()
