# Sends datagrams to the host; one is enough to carry a secret away.
import socket
from contextlib import suppress

from common import facts, finish, hit, secret

for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "0.0.0.0"),
                     (socket.AF_INET6, "::ffff:127.0.0.1")):
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(0.3)
        datagrams.sendto(b"exfil", (host, facts["udp_port"]))
        if secret(datagrams.recv(200)):
            hit(host)
finish()
