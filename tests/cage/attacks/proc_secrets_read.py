# Reads what /proc and /sys tell about the kernel and all its users: addresses, messages, keys, physical memory.
# range: plain=root
import os
from contextlib import suppress

from common import finish, hit

for path in ("/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/sys/kernel/debug", "/sys/kernel/tracing", "/proc/slabinfo",
             "/proc/vmallocinfo", "/proc/kpagecount", "/sys/firmware/dmi/tables/DMI", "/proc/keys", "/proc/key-users",
             "/sys/kernel/vmcoreinfo", "/sys/kernel/notes"):
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        # An empty file or folder in its place is a mask.
        empty = not os.listdir(descriptor) if os.path.isdir(path) else not os.read(descriptor, 1)
        if not empty:
            hit(path)
with suppress(OSError):
    if any(int(line.split()[0], 16) for line in open("/proc/kallsyms").readlines()[:50]):
        hit("addresses in /proc/kallsyms")
with suppress(OSError):
    if any(int(line.split("-")[0], 16) for line in open("/proc/iomem").readlines()[:50]):
        hit("addresses in /proc/iomem")
finish()
