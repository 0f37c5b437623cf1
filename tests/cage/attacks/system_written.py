# Leaves files where root's programs are found (the host looks for them, and removes them).
# range: plain=root
from contextlib import suppress

from common import MARK, finish

for folder in ("/usr/local/bin", "/usr/lib/python3/dist-packages", "/etc", "/etc/cron.d", "/etc/profile.d",
               "/etc/ld.so.conf.d", "/var/lib", "/opt", "/boot", "/lib/modules", "/var/log"):
    with suppress(OSError):
        with open(f"{folder}/{MARK}", "w") as file:
            file.write("")
finish("the host looks")
