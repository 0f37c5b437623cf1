# Opens sockets of families that no network namespace holds back, or that only widen the kernel (AF_VSOCK: codex).
import errno
import socket

from common import finish, hit

FAMILIES = {"VSOCK": (40, 1, 0), "PACKET": (17, 3, 0), "ALG": (38, 5, 0), "BLUETOOTH": (31, 3, 0), "XDP": (44, 3, 0),
            "KCM": (41, 2, 0), "TIPC": (30, 1, 0), "RDS": (21, 5, 0), "CAN": (29, 3, 1), "NFC": (39, 5, 0),
            "SMC": (43, 1, 0), "KEY": (15, 3, 2), "PPPOX": (24, 2, 0), "LLC": (26, 1, 0), "QIPCRTR": (42, 2, 0),
            "PHONET": (35, 2, 0), "IEEE802154": (36, 2, 0), "CAIF": (37, 5, 0), "MCTP": (45, 2, 0)}
for name, (family, kind, protocol) in FAMILIES.items():
    try:
        socket.socket(family, kind, protocol).close()
        hit(name)
    except OSError as error:
        # "No such family" is the kernel's answer, after it has tried to load a module for it.
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT, errno.ENOSYS):
            hit(f"{name}: {error.strerror}")
finish()
