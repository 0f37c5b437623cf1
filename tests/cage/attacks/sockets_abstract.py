# Connects to abstract unix sockets of the host: no file, so no file permission holds (containerd CVE-2020-15257).
import socket
from contextlib import suppress

from common import facts, finish, hit

for kind, name in ((socket.SOCK_STREAM, facts["abstract"]), (socket.SOCK_DGRAM, facts["abstract_datagrams"])):
    with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as stream:
        stream.settimeout(0.5)
        stream.connect("\0" + name)
        hit(name)
        stream.send(b"exfil")
for line in open("/proc/net/unix"):
    if facts["mark"] in line:
        hit("sees them in /proc/net/unix")
        break
finish()
