# Connects to the granted port by address, not by the granted name; and to the neighbours of the address that the
# name has in the cage. The granted service must see nobody.
# range: watch=granted
import ipaddress
import socket
from contextlib import suppress

from common import facts, finish, hit

hosts = ["127.0.0.1", "0.0.0.0", "localhost", "::1", "::ffff:127.0.0.1", "127.0.0.2"]
with suppress(OSError):
    inside = ipaddress.ip_address(socket.gethostbyname(facts["granted_name"]))
    hosts += [str(inside + offset) for offset in (-2, -1, 1, 2, 3, 256, 65536)]
for host in hosts:
    with suppress(OSError), socket.create_connection((host, facts["granted_port"]), 1) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if b"GRANTED" in stream.recv(200):
            hit(host)
finish()
