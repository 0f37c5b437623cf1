# Pastes through the console's selection: TIOCLINUX, and takes the console (CVE-2023-1523 snapd, CVE-2023-28339).
# On a terminal that is no console the driver itself says no; a wall says it before.
# range: with=terminal
import ctypes
import os

from common import call, finish, hit

for descriptor in (0, 1, 2):
    for request in (0x541C, 0x541C | 1 << 32, 0x541D):
        result = call("ioctl", descriptor, ctypes.c_ulong(request), bytes([2]) + bytes(15))
        if os.isatty(descriptor) and (result[0] >= 0 or result[1] in (22, 25)):
            hit(f"ioctl {request:#x} got to the terminal {descriptor}")
finish()
