# Connects to services that are as good as the user or as root: docker, D-Bus, agents, systemd, the desktop
# (nono GHSA-27vp-2mmc-vmh3, landrun #43, greywall #32).
import os
import socket
from contextlib import suppress

from common import facts, finish, hit

user = os.getuid()
paths = facts["sockets"] + [
    "/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
    "/run/dbus/system_bus_socket", f"/run/user/{user}/bus", f"/run/user/{user}/wayland-0", "/run/snapd.socket",
    f"/run/user/{user}/systemd/private", "/run/systemd/private", "/tmp/.X11-unix/X0", "/run/nscd/socket",
    "/run/systemd/journal/socket", "/run/systemd/notify", "/dev/log", os.environ.get("SSH_AUTH_SOCK", "/none"),
    os.environ.get("DBUS_SESSION_BUS_ADDRESS", "").removeprefix("unix:path=") or "/none",
]
for path in paths:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as stream:
            stream.settimeout(0.5)
            stream.connect(path)
            hit(path)
            stream.send(b"\0AUTH EXTERNAL 30\r\n")
finish()
