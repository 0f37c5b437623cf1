# Asks how long the machine has been up, to the second: nearly a name for it, and the same for every program on it.
import time
from contextlib import suppress

from common import facts, finish, hit

up = float(facts["uptime"])
with suppress(OSError):
    if float(open("/proc/uptime").read().split()[0]) >= up:
        hit("the uptime of the host")
for clock in (time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW):
    if time.clock_gettime(clock) >= up:
        hit(f"the uptime of the host by clock {clock}")
with suppress(OSError):
    born = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]) / 100
    if born >= up - 1:
        hit("its own start, counted from the host's")
finish()
