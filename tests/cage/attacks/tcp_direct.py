# Connects straight to a service of the host, by every way to write its address, past any proxy variable.
import socket
from contextlib import suppress

from common import facts, finish, hit, secret

for host in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "127.1", "2130706433", "0x7f000001",
             "localhost", *facts["own_addresses"]]:
    with suppress(OSError):
        with socket.create_connection((host, facts["forbidden_port"]), 1) as stream:
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if secret(stream.recv(200)):
                hit(host)
finish()
