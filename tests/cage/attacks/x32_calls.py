# Uses the numbers of the x32 table (bit 30 set), which a filter on plain numbers lets pass.
# range: only=x86_64 plain=holds
# It holds without a cage where the kernel has no x32 table, as most have not.
from common import call, finish, hit, in_child

BIT = 0x40000000
for name, number, argument in (("getpid", 39, 0), ("ptrace", 521, 0), ("unshare", 272, 0x10000000)):
    if in_child(lambda: 0 if call(BIT | number, argument, 0, 0, 0)[0] >= 0 else 1) == 0:
        hit(name)
finish()
