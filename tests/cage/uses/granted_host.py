# The granted host by its name: resolved, HTTP with requests one after another, 1 MB each way, bytes that are no HTTP.
# range: plain=not-run
# Without a cage the name does not exist.
import http.client
import socket
import urllib.request

from common import done, facts, works

name, port = facts["granted_name"], facts["granted_port"]
works(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM), "the name is resolved")
works(socket.gethostbyname(name.upper()), "the name in capitals is resolved")
connection = http.client.HTTPConnection(name, port, timeout=5)
for path in ("/", "/second", "/third"):
    connection.request("GET", path)
    works(connection.getresponse().read() == b"GRANTED", f"HTTP {path}")
connection.request("POST", "/echo", b"x" * (1 << 20))
works(connection.getresponse().read() == b"x" * (1 << 20), "1 MB there and back")
connection.request("POST", "/echo", iter([b"chunk"] * 100), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
works(connection.getresponse().read() == b"chunk" * 100, "chunks")
opener = urllib.request.build_opener()
works(opener.open(f"http://{name}:{port}/", timeout=5).read() == b"GRANTED", "urllib, with the proxy that it finds")
with socket.create_connection((name, port), 5) as stream:
    stream.sendall(b"\x00\x01 no HTTP")
    works(b"GRANTED" in stream.recv(100), "another protocol")
with socket.create_connection((name, port), 5) as stream:
    stream.sendall(b"hi\n")
    works(b"GRANTED" in stream.recv(100), "a line")
done()
