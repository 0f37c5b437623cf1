# One file of 20 GiB with nothing in it, in its own places and in a granted folder.
# range: ended=yes
import os
import signal
from contextlib import suppress

from common import PROJECT, finish, hit

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for folder in ("/tmp", PROJECT):
    path = f"{folder}/sparse{os.getpid()}"
    with suppress(OSError):
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        with suppress(OSError):
            os.ftruncate(descriptor, 20 << 30)
            hit(f"truncate in {folder}")
        with suppress(OSError):
            os.pwrite(descriptor, b"x", 20 << 30)
            hit(f"write in {folder}")
        os.unlink(path)
finish()
