# The first request names the granted host, the next one on the same connection another: after the answer, in one
# piece with the first, byte by byte, after a body (by length, in chunks), after an Upgrade, after a HEAD.
import socket
import time
from contextlib import suppress

from common import facts, finish

name, port = facts["granted_name"], facts["granted_port"]
own = f"Host: {name}:{port}\r\n"
other = b"GET /second HTTP/1.1\r\nHost: forbidden.test\r\n\r\n"
FIRST = {
    "plain": f"GET / HTTP/1.1\r\n{own}\r\n",
    "head": f"HEAD / HTTP/1.1\r\n{own}\r\n",
    "length": f"POST / HTTP/1.1\r\n{own}Content-Length: 3\r\n\r\nabc",
    "chunks": f"POST / HTTP/1.1\r\n{own}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "upgrade": f"GET / HTTP/1.1\r\n{own}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "upgrade to h2c": f"GET / HTTP/1.1\r\n{own}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n",
    "old": f"GET / HTTP/1.0\r\n{own}Connection: keep-alive\r\n\r\n",
    "expect": f"POST / HTTP/1.1\r\n{own}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
}


def talk(first, way):
    for host in facts["granted_hosts"]:
        with suppress(OSError), socket.create_connection((host, port), 1) as stream:
            stream.settimeout(0.4)
            if way == "together":
                stream.sendall(first + other)
            else:
                stream.sendall(first)
                stream.recv(500)
                for piece in [other] if way == "after" else [other[at:at + 1] for at in range(len(other))]:
                    stream.sendall(piece)
                    time.sleep(0.001)
            with suppress(TimeoutError):
                stream.recv(500)
            return


for first in FIRST.values():
    for way in ("after", "together"):
        talk(first.encode(), way)
talk(FIRST["plain"].encode(), "byte by byte")
finish("the host reads")
