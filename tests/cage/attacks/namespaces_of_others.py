# Joins the namespaces of other processes: setns with files of /proc, and with a pidfd.
# range: plain=root
import glob
import os
from contextlib import suppress

from common import call, finish, hit, in_child

for pid in {os.getppid(), os.getpid()} - {0}:
    for path in glob.glob(f"/proc/{pid}/ns/*"):
        with suppress(OSError):
            space = os.open(path, os.O_RDONLY)
            if in_child(lambda: call("setns", space, 0)[1]) == 0:
                hit(path)
    descriptor, _ = call("pidfd_open", pid, 0)
    if descriptor >= 0 and in_child(lambda: call("setns", descriptor, 0x40000000)[1]) == 0:
        hit(f"network of {pid} by pidfd")
finish()
