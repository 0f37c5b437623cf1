# Speaks to the granted host, and in the request names another one (domain fronting). The host reads what arrives.
import socket
from contextlib import suppress

from common import facts, finish

name, port = facts["granted_name"], facts["granted_port"]
REQUESTS = [
    "GET / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n",
    "GET / HTTP/1.1\r\nhost:forbidden.test:80\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n",
    "\n\nGET / HTTP/1.1\nHost: forbidden.test\n\n",
    f"GET / HTTP/1.1\r\nHost: {name}\r\nHost: forbidden.test\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: forbidden.test\r\nHost: {name}:{port}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost : forbidden.test\r\nHost: {name}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {name}\r\n forbidden.test\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {name},forbidden.test\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {name}@forbidden.test\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: forbidden.test#{name}:{port}\r\n\r\n",
    f"GET http://forbidden.test/ HTTP/1.1\r\nHost: {name}\r\n\r\n",
    f"GET http://{name}@forbidden.test/ HTTP/1.1\r\nHost: {name}\r\n\r\n",
    "GET http://forbidden.test/ HTTP/1.0\r\n\r\n",
    f"CONNECT forbidden.test:443 HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: forbidden.test\r\n\r\n",
    "PROPFIND / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n",
    "get / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n",
]
for request in REQUESTS:
    for host in facts["granted_hosts"]:
        with suppress(OSError), socket.create_connection((host, port), 1) as stream:
            stream.settimeout(0.5)
            stream.sendall(request.encode())
            stream.recv(200)
            break
finish("the host reads")
