# Are the walls there at all: no new privileges, no capabilities in any set, a seccomp filter.
from common import finish, hit

status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
if status["NoNewPrivs"] != "1":
    hit("new privileges are possible")
if status["Seccomp"] != "2":
    hit("no seccomp filter")
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    if int(status[name], 16):
        hit(f"{name} {status[name]}")
finish()
