# Takes memory that belongs to no process, so that no sum over processes sees it: memfd, written, never mapped.
# range: ended=yes heavy=yes
import os
import time
from contextlib import suppress

from common import call, facts, finish, hit

block, taken = bytes([1]) * (1 << 20), 0
with suppress(OSError):
    for number in range(18):
        descriptor, _ = call("memfd_create", b"x", 0)
        if descriptor < 0:
            break
        for _ in range(50):
            os.write(descriptor, block)
            taken += 1
time.sleep(0.3)
if taken > facts["limits"]["memory"] + 60:
    hit(f"{taken} MB")
finish(f"stopped at {taken} MB")
