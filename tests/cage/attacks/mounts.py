# Changes what is mounted, by the old calls and the new ones: fsopen, open_tree, move_mount, mount_setattr, pivot_root.
# range: plain=root
import ctypes
import os
import struct
from contextlib import suppress

from common import PROJECT, call, finish, hit, hits, libc

NEW_NAMESPACE, BIND, REMOUNT, PRIVATE, RECURSIVE, DETACH = 0x20000, 4096, 32, 1 << 18, 1 << 14, 2
if call("unshare", NEW_NAMESPACE)[0] == 0:
    # What follows is harmless on a host: it happens in a copy.
    hit("a mount namespace of its own")
    libc.mount(None, b"/", None, RECURSIVE | PRIVATE, None)
with suppress(OSError):
    os.mkdir(PROJECT + "/m")
if libc.mount(b"x", (PROJECT + "/m").encode(), b"tmpfs", 0, None) == 0:
    hit("a tmpfs")
if libc.mount(b"/", (PROJECT + "/m").encode(), None, BIND, None) == 0:
    hit("a bind mount")
points = [line.split()[4] for line in open("/proc/self/mountinfo")]
for point in points if not hits else []:
    if libc.mount(None, point.encode(), None, BIND | REMOUNT, None) == 0:
        hit(f"remounted {point}")
    if libc.umount2(point.encode(), DETACH) == 0:
        hit(f"unmounted {point}")
tree, _ = call("open_tree", -100, b"/usr", 1)
if tree >= 0:
    hit("open_tree")
    if call("move_mount", tree, b"", -100, (PROJECT + "/m").encode(), 4)[0] == 0:
        hit("move_mount")
for what, arguments in (("fsopen", (b"tmpfs", 0)), ("fspick", (-100, b"/", 0)), ("pivot_root", (b"/tmp", b"/tmp"))):
    if call(what, *arguments)[0] >= 0:
        hit(what)
if call("mount_setattr", -100, b"/proc", 0, ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0)), 32)[0] == 0:
    hit("mount_setattr")
finish()
