# Raw sockets: forged packets, and everybody's packets.
# range: plain=root
import socket
from contextlib import suppress

from common import finish, hit

for what, arguments in {"raw ICMP": (2, 3, 1), "raw TCP": (2, 3, 6), "raw IP": (2, 3, 255), "raw ICMPv6": (10, 3, 58),
                        "packets": (17, 3, 0x300), "ping": (2, 2, 1), "ping 6": (10, 2, 58)}.items():
    with suppress(OSError):
        socket.socket(*arguments).close()
        hit(what)
finish()
