# Opens devices that go round files and walls: disks, memory, kernel log, KVM, FUSE, TUN, input, GPUs; makes its own.
# range: plain=root
import glob
import os
import stat
from contextlib import suppress

from common import PROJECT, finish, hit

paths = ["/dev/mem", "/dev/port", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/vsock", "/dev/uinput",
         "/dev/tty0", "/dev/tty1", "/dev/vcs", "/dev/console", "/dev/loop-control", "/dev/mapper/control", "/dev/hpet",
         "/dev/userfaultfd", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/cpu_dma_latency", "/dev/autofs",
         *glob.glob("/dev/[vs]d?"), *glob.glob("/dev/nvme?n?"), *glob.glob("/dev/dri/*"), *glob.glob("/dev/input/event0")]
for path in paths:
    with suppress(OSError):
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
        hit(path)
for folder in (PROJECT, "/tmp", "/dev/shm"):
    for kind, number in ((stat.S_IFBLK, os.makedev(254, 0)), (stat.S_IFCHR, os.makedev(1, 1))):
        path = f"{folder}/device{os.getpid()}"
        with suppress(OSError):
            os.mknod(path, 0o600 | kind, number)
            hit(f"made a device in {folder}")
        with suppress(OSError):
            os.unlink(path)
finish()
