# One process takes memory and touches it, 900 MB at most.
# range: ended=yes heavy=yes
import mmap
import time
from contextlib import suppress

from common import facts, finish, hit

taken, pieces = 0, []
with suppress(OSError, MemoryError, ValueError):
    while taken < 900:
        piece = mmap.mmap(-1, 30 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at in range(0, 30 << 20, 4096):
            piece[at] = 1
        pieces.append(piece)
        taken += 30
        time.sleep(0.01)
time.sleep(0.3)
if taken > facts["limits"]["memory"] + 60:
    hit(f"{taken} MB")
finish(f"stopped at {taken} MB")
