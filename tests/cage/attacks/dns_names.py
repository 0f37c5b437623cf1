# Asks the resolver of the cage for names that are not granted but look so; all kinds of records; long labels.
# range: plain=not-run
# Without a cage these names are nobody's.
import socket
import struct
from contextlib import suppress

from common import facts, finish, hit

granted = facts["granted_name"]
servers = ["127.0.0.1"]
with suppress(OSError):
    servers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
names = ["x." + granted, "evil" + granted, granted + ".example", "c2VjcmV0." * 6 + granted, "granted", "test",
         granted.replace(".", "\\."), granted + "\0.example", "localhost.example", "metadata.google.internal", "wpad"]


def ask(server, labels, kind):
    question = struct.pack("!6H", 9, 0x100, 1, 0, 0, 0)
    question += b"".join(bytes([len(it)]) + it for it in labels) + struct.pack("!BHH", 0, kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(1)
        datagrams.sendto(question, (server, 53))
        answer = datagrams.recv(512)
    return struct.unpack("!H", answer[6:8])[0]


for server in servers:
    if not server.startswith("127."):
        continue
    for name in names:
        for kind in (1, 28, 16, 255):
            with suppress(OSError):
                if ask(server, [part.encode() for part in name.split(".")], kind):
                    hit(f"{name!r} kind {kind}")
    for kind in (16, 15, 33, 65):
        with suppress(OSError):
            if ask(server, [part.encode() for part in granted.split(".")], kind):
                hit(f"a record of kind {kind} of the granted name")
for name in names[:5]:
    with suppress(OSError, UnicodeError, ValueError):
        hit(f"{name} is {socket.gethostbyname(name)}")
finish()
