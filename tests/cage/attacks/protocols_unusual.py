# TCP by another name: MPTCP, SCTP, UDP-Lite, DCCP (Landlock's and many filters' rules are for TCP and UDP only).
import socket
from contextlib import suppress

from common import facts, finish, hit

for name, kind, protocol in (("MPTCP", 1, 262), ("SCTP", 1, 132), ("SCTP packets", 5, 132), ("UDP-Lite", 2, 136),
                             ("DCCP", 6, 33), ("L2TP", 2, 115), ("SMC", 1, 256)):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with suppress(OSError):
            stream = socket.socket(family, kind, protocol)
            hit(name)
            stream.settimeout(1)
            stream.connect((address, facts["forbidden_port"]))
            hit(f"{name} connected")
finish()
