# Writes in a folder that is granted for reading only: open, reopen by /proc, truncate, times, modes, attributes.
# The host compares files and modes.
import os
from contextlib import suppress

from common import PROJECT, facts, finish, hit

kept, folder = facts["readonly"] + "/kept.txt", facts["readonly"]
attempts = {
    "open": lambda: os.open(kept, os.O_WRONLY | os.O_APPEND),
    "reopen": lambda: os.open(f"/proc/self/fd/{os.open(kept, os.O_RDONLY)}", os.O_RDWR),
    "reopen a path": lambda: os.open(f"/proc/self/fd/{os.open(kept, os.O_PATH)}", os.O_RDWR),
    "truncate": lambda: os.truncate(kept, 0),
    "mode": lambda: os.chmod(kept, 0o777),
    "attribute": lambda: os.setxattr(kept, "user.planted", b"1"),
    "times": lambda: os.utime(kept, (1, 1)),
    "new file": lambda: os.open(folder + "/new", os.O_CREAT | os.O_WRONLY),
    "folder": lambda: os.mkdir(folder + "/dir"),
    "link": lambda: os.symlink("x", folder + "/link"),
    "rename into": lambda: os.rename(PROJECT + "/readme.txt", folder + "/readme.txt"),
    "rename out of": lambda: os.rename(kept, PROJECT + "/kept.txt"),
    "remove": lambda: os.unlink(kept),
}
for what, attempt in attempts.items():
    with suppress(OSError):
        attempt()
        hit(what)
finish()
