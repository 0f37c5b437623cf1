# Connects to another port of the host that is granted.
import socket
from contextlib import suppress

from common import facts, finish, hit, secret

for host in facts["granted_hosts"]:
    with suppress(OSError), socket.create_connection((host, facts["forbidden_port"]), 1) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if secret(stream.recv(200)):
            hit(host)
finish()
