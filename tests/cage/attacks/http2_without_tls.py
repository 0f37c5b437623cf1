# HTTP/2 by prior knowledge: the name of the other host is in a compressed header that a reader of lines never sees.
import socket
import struct
from contextlib import suppress

from common import facts, finish

authority = b"\x41" + bytes([len("forbidden.test")]) + b"forbidden.test"
headers = b"\x82\x84\x86" + authority
frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack("!IBBI", 0, 4, 0, 0)[1:]
frames += struct.pack("!IBBI", len(headers), 1, 5, 1)[1:] + headers
for host in facts["granted_hosts"]:
    with suppress(OSError), socket.create_connection((host, facts["granted_port"]), 1) as stream:
        stream.settimeout(0.5)
        stream.sendall(frames)
        stream.recv(200)
        break
finish("the host reads")
