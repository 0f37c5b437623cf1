# Starts in a folder that is not granted and reads from there by relative names (CVE-2024-21626, runc).
# range: cwd=home
import os
from contextlib import suppress

from common import finish, hit, secret

for name in (".ssh/id_ed25519", "../home/.ssh/id_ed25519"):
    for base in ("", "/proc/self/cwd/", "/proc/thread-self/cwd/"):
        with suppress(OSError):
            if secret(open(base + name).read()):
                hit(base + name)
with suppress(OSError):
    os.fchdir(os.open("..", os.O_PATH))
    hits = [name for name in os.listdir(".") if name == "outside"]
    for name in hits:
        hit(f"sees {os.getcwd()}/{name}")
finish()
