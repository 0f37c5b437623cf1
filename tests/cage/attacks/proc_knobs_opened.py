# Opens, for writing, what changes the kernel or runs programs on the host; writes nothing (CVE-2021-30465 and others
# end here; core_pattern and release_agent are the classic ways out of a container).
# range: plain=root
import glob
import os
from contextlib import suppress

from common import finish, hit

for path in ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
             "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/sys/kernel/pid_max",
             "/proc/sys/kernel/ns_last_pid", "/proc/sys/user/max_user_namespaces", "/proc/sys/vm/drop_caches",
             "/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/randomize_va_space",
             "/proc/sys/net/ipv4/ip_forward", "/proc/irq/default_smp_affinity", "/proc/mtrr", "/sys/kernel/uevent_helper",
             "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/1/oom_score_adj",
             "/proc/timer_list", *glob.glob("/sys/fs/cgroup/*/release_agent"), *glob.glob("/sys/class/net/*/mtu")]:
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY)
        # The null device in its place is a mask.
        if not os.path.samestat(os.fstat(descriptor), os.stat("/dev/null")):
            hit(path)
finish()
