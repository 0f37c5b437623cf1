# Fills a granted folder so that no sum over its files shows it: unlinked while open, allocated in one call, through a
# memory map; 160 MB each.
# range: ended=yes heavy=yes
import mmap
import os
import time
from contextlib import suppress

from common import PROJECT, facts, finish, hit

block = b"x" * (1 << 20)


def unlinked(number):
    descriptor = os.open(f"{PROJECT}/gone", os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)
    os.unlink(f"{PROJECT}/gone")
    for _ in range(20):
        os.write(descriptor, block)
    return descriptor


def allocated(number):
    descriptor = os.open(f"{PROJECT}/allocated{number}", os.O_CREAT | os.O_RDWR, 0o600)
    os.posix_fallocate(descriptor, 0, 20 << 20)
    return descriptor


def mapped(number):
    descriptor = os.open(f"{PROJECT}/mapped{number}", os.O_CREAT | os.O_RDWR, 0o600)
    os.ftruncate(descriptor, 20 << 20)
    with mmap.mmap(descriptor, 20 << 20) as memory:
        for at in range(0, 20 << 20, 4096):
            memory[at] = 1
        memory.flush()
    return descriptor


for way in (unlinked, allocated, mapped):
    taken = []
    with suppress(OSError):
        for number in range(8):
            taken.append(way(number))
    time.sleep(0.1)
    used = sum(os.fstat(descriptor).st_blocks for descriptor in taken) >> 11
    for descriptor in taken:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)
    if used > facts["limits"]["disk"] * 1.1:
        hit(f"{way.__name__}: {used} MB")
finish()
