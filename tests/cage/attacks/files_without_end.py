# Makes 4000 empty files in a granted folder and in its own places: the disk has room, but no file can be made.
# range: ended=yes heavy=yes
import os
import shutil
import time
from contextlib import suppress

from common import PROJECT, facts, finish, hit

for folder in (PROJECT, "/tmp", "/dev/shm"):
    count, base = 0, f"{folder}/many{os.getpid()}"
    with suppress(OSError):
        for sub in range(4):
            os.makedirs(f"{base}/{sub}")
            for number in range(1000):
                os.close(os.open(f"{base}/{sub}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))
                count += 1
    time.sleep(0.3)
    if count > facts["limits"]["files"] * 1.1:
        hit(f"{folder}: {count} files")
    shutil.rmtree(base, ignore_errors=True)
finish()
