# Looks for processes of the host in /proc, by name, by number, by what they show of themselves.
# range: world=victim
import glob
import os
from contextlib import suppress

from common import facts, finish, hit, secret

for folder in glob.glob("/proc/[0-9]*") + [f"/proc/{facts['victim']}"]:
    for name in ("cmdline", "environ", "maps", "comm", "cwd", "stat"):
        with suppress(OSError):
            path = f"{folder}/{name}"
            data = os.readlink(path).encode() if name == "cwd" else open(path, "rb").read()
            if folder.split("/")[2] != str(os.getpid()) and (b"victim.py" in data or secret(data)):
                hit(path)
finish()
