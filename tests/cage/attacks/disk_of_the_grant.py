# Fills the disk in a granted folder (a plain bind mount has no quota): 150 MB in files of 10 MB, as fast as it goes.
# range: ended=yes heavy=yes
import os
import time
from contextlib import suppress

from common import PROJECT, facts, finish, hit

block = b"x" * (1 << 20)
for folder in (PROJECT,):
    written, files = 0, []
    with suppress(OSError):
        for number in range(15):
            files.append(f"{folder}/fill{os.getpid()}-{number}")
            with open(files[-1], "wb", buffering=0) as file:
                for _ in range(10):
                    written += file.write(block) >> 20
    time.sleep(0.1)
    for name in files:
        with suppress(OSError):
            os.unlink(name)
    if written > facts["limits"]["disk"] * 1.1:
        hit(f"{folder}: {written} MB")
finish()
