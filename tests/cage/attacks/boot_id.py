# Reads the boot id: the same for every program on the machine until it restarts, so that they can be joined.
from contextlib import suppress

from common import facts, finish, hit

with suppress(OSError):
    if open("/proc/sys/kernel/random/boot_id").read().strip() == facts["boot_id"]:
        hit("the boot id of the host")
finish()
