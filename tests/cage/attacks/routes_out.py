# Is there a route to anywhere: the cloud's metadata, public resolvers, private nets (connecting UDP sends nothing).
# range: plain=either
# Without a cage it depends on whether the machine has a network.
import socket
from contextlib import suppress

from common import finish, hit

for host in ("169.254.169.254", "8.8.8.8", "192.168.0.1", "10.0.0.1", "224.0.0.251", "2001:4860:4860::8888", "fe80::1%1"):
    with suppress(OSError):
        family, _, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.connect(address)
            source = datagrams.getsockname()[0]
            if not source.startswith("127.") and source not in (host, "::1"):
                hit(f"{host} from {source}")
finish()
