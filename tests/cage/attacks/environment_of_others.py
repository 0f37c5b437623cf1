# Reads the environment of every process in sight, the launcher first (bubblewrap #725: /proc/1/environ keeps it).
# range: plain=root
import glob
import os
from contextlib import suppress

from common import finish, hit, secret

for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/task/*/environ"):
    with suppress(OSError):
        if path.split("/")[2] != str(os.getpid()) and secret(open(path, "rb").read()):
            hit(path)
finish()
