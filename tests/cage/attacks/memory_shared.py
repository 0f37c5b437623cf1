# Takes shared memory: anonymous and shared, System V segments that nobody stays attached to.
# range: ended=yes heavy=yes
import ctypes
import mmap
import time
from contextlib import suppress

from common import facts, finish, hit, libc

taken, pieces, segments = 0, [], []
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
for _ in range(9):
    segment = libc.shmget(0, 50 << 20, 0o1600)
    if segment < 0:
        break
    segments.append(segment)
    address = libc.shmat(segment, None, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        break
    ctypes.memset(address, 1, 50 << 20)
    libc.shmdt(address)
    taken += 50
with suppress(OSError, MemoryError):
    while taken < 900:
        piece = mmap.mmap(-1, 30 << 20)
        for at in range(0, 30 << 20, 4096):
            piece[at] = 1
        pieces.append(piece)
        taken += 30
        time.sleep(0.01)
time.sleep(0.3)
for segment in segments:
    libc.shmctl(segment, 0, None)
if taken > facts["limits"]["memory"] + 60:
    hit(f"{taken} MB")
finish(f"stopped at {taken} MB")
