# What programs read about themselves and the machine: /proc/self, memory, processors, mounts, devices of their own.
import os

from common import done, works

for name in ("status", "stat", "statm", "maps", "cmdline", "environ", "mountinfo", "limits", "cgroup", "comm", "oom_score"):
    works(open(f"/proc/self/{name}").read() is not None, f"/proc/self/{name}")
for name in ("meminfo", "cpuinfo", "stat", "uptime", "loadavg", "version", "filesystems", "mounts"):
    works(open(f"/proc/{name}").read(), f"/proc/{name}")
works(os.readlink("/proc/self/exe").startswith("/usr"), "its own program")
works(os.listdir("/proc/self/fd"), "its descriptors")
works(os.listdir("/proc/self/task"), "its threads")
for name in ("null", "zero", "full", "random", "urandom", "stdin", "stdout", "stderr", "fd"):
    works(os.path.lexists("/dev/" + name), "/dev/" + name)
works(os.path.exists("/bin/sh") and os.path.exists("/usr/bin/env"), "/bin and /usr/bin")
works(os.statvfs("/tmp").f_bavail > 0, "room in /tmp")
done()
