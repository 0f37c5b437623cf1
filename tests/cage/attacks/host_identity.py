# Who is it that runs this, and where: machine id, host name, user names, hardware addresses, serial numbers.
import glob
import os
import socket
from contextlib import suppress

from common import facts, finish, hit

for path in ["/etc/machine-id", "/var/lib/dbus/machine-id", *glob.glob("/sys/class/net/*/address"),
             *glob.glob("/sys/class/dmi/id/*serial"), "/sys/class/dmi/id/product_uuid", "/etc/hostid"]:
    with suppress(OSError):
        if open(path).read().strip() not in ("", "00:00:00:00:00:00", "uninitialized"):
            hit(path)
if facts["host_name"] in (socket.gethostname(), os.uname().nodename):
    hit("the host's name")
for path in ("/etc/hosts", "/etc/hostname", "/proc/sys/kernel/hostname"):
    with suppress(OSError):
        if facts["host_name"] in open(path).read().split():
            hit(f"the host's name in {path}")
for path in ("/etc/passwd", "/etc/group", "/etc/subuid", "/etc/shadow"):
    with suppress(OSError):
        names = {line.split(":")[0] for line in open(path)} & set(facts["names"])
        if names:
            hit(f"{path}: {', '.join(sorted(names)[:5])}")
finish()
