# Reads command lines of processes that are not its own, the launcher's with its grants among them.
import glob
import os
from contextlib import suppress

from common import MARK, finish, hit

for path in glob.glob("/proc/[0-9]*/cmdline"):
    with suppress(OSError):
        line = open(path, "rb").read()
        if path.split("/")[2] != str(os.getpid()) and MARK.encode() in line:
            hit(f"{path}: {line[:60]!r}")
finish()
