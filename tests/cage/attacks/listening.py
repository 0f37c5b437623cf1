# Listens, and hopes that somebody outside can connect: IPv4, IPv6, UDP (the host tries).
# range: grants=loopback
import select
import socket
from contextlib import suppress

from common import facts, finish, hit

open_sockets = []
for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    with suppress(OSError):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, facts["listen_port"]))
        listener.listen()
        open_sockets.append(listener)
    with suppress(OSError):
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        datagrams.bind((host, facts["listen_port"]))
        open_sockets.append(datagrams)
print("LISTENING", len(open_sockets), flush=True)
for ready in select.select(open_sockets, [], [], 1.5)[0]:
    hit(f"somebody came to {ready.getsockname()}")
finish()
