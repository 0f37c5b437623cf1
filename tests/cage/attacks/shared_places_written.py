# Leaves files in places that all programs of the machine share: /tmp, /var/tmp, /dev/shm, spools (the host looks).
import os
from contextlib import suppress

from common import MARK, facts, finish

for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/crash", "/var/spool/cron", "/run",
               f"/run/user/{os.getuid()}", facts["outside"], facts["run"]):
    with suppress(OSError):
        with open(f"{folder}/{MARK}", "w") as file:
            file.write("planted\n")
finish("the host looks")
