# Hands programs and faults to the kernel: bpf, perf_event_open, userfaultfd (the tools of most kernel exploits).
# range: plain=root
import ctypes
import struct

from common import call, finish, hit, reached

for flags in (0, 1):
    if call("userfaultfd", flags)[0] >= 0:
        hit(f"userfaultfd {flags}")
for kind in (1, 2, 9):
    if reached("bpf", 0, ctypes.create_string_buffer(struct.pack("IIII", kind, 4, 4, 1) + bytes(112)), 72):
        hit(f"bpf map {kind}")
if reached("perf_event_open", ctypes.create_string_buffer(struct.pack("III", 1, 128, 0) + bytes(116)), 0, -1, -1, 0):
    hit("perf_event_open")
finish()
