# Walks out of a granted folder by descriptor: "..", O_PATH, RESOLVE_NO_SYMLINKS, a renamed folder under one's feet.
import ctypes
import os
import struct
from contextlib import suppress

from common import PROJECT, call, finish, hit, secret

folder = os.open(PROJECT, os.O_RDONLY | os.O_DIRECTORY)
for name in ("../.ssh/id_ed25519", "../../outside/token", "./sub/../../.aws/credentials"):
    with suppress(OSError):
        if secret(os.read(os.open(name, os.O_RDONLY, dir_fd=folder), 100)):
            hit(name)
    how = ctypes.create_string_buffer(struct.pack("QQQ", os.O_RDONLY, 0, 4))
    descriptor, _ = call("openat2", folder, name.encode(), how, 24)
    if descriptor >= 0 and secret(os.read(descriptor, 100)):
        hit(f"openat2 {name}")
# Out of a folder that moves upwards while one stands in it.
with suppress(OSError):
    os.makedirs(PROJECT + "/deep/er/est", exist_ok=True)
    os.chdir(PROJECT + "/deep/er/est")
    os.rename(PROJECT + "/deep/er", PROJECT + "/er")
    up = os.open("../../../.ssh/id_ed25519", os.O_RDONLY)
    if secret(os.read(up, 100)):
        hit("a folder moved away")
finish()
