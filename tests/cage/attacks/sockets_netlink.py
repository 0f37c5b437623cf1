# Talks to the kernel's other control sockets: audit, connector, device events, firewall, IPsec, generic, crypto.
import socket
from contextlib import suppress

from common import finish, hit

for name, protocol in {"usersock": 2, "sock_diag": 4, "nflog": 5, "xfrm": 6, "selinux": 7, "iscsi": 8, "audit": 9,
                       "fib": 10, "connector": 11, "netfilter": 12, "uevent": 15, "generic": 16, "scsi": 18,
                       "rdma": 20, "crypto": 21}.items():
    with suppress(OSError):
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol).close()
        hit(name)
finish()
