# Makes a control group, or writes in one: limits go, and release_agent runs a program on the host (CVE-2022-0492).
# range: plain=root
import glob
import os
from contextlib import suppress

from common import MARK, finish, hit

roots = [line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup" in line]
for root in roots + glob.glob("/sys/fs/cgroup/*"):
    with suppress(OSError):
        os.mkdir(f"{root}/{MARK}")
        hit(f"made a group in {root}")
        os.rmdir(f"{root}/{MARK}")
    for name in ("cgroup.procs", "release_agent", "memory.max", "pids.max", "cgroup.subtree_control"):
        with suppress(OSError):
            os.close(os.open(f"{root}/{name}", os.O_WRONLY))
            hit(f"{root}/{name} is open for writing")
finish()
