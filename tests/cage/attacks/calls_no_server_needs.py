# Calls that no server needs and that had bugs: each must be refused, not only fail.
import ctypes
import os

from common import finish, hit, reached

zero = ctypes.create_string_buffer(256)
me = os.getpid()
CALLS = {
    "personality": (0x0040000,), "kcmp": (me, me, 0, 0, 1), "quotactl": (0, 0, 0, 0), "syslog": (10, 0, 0),
    "name_to_handle_at": (-100, b"/", zero, zero, 0), "fanotify_init": (0, 0), "memfd_secret": (0,),
    "process_vm_readv": (me, 0, 0, 0, 0, 0), "process_vm_writev": (me, 0, 0, 0, 0, 0), "swapon": (b"/none", 0),
    "acct": (b"/none",), "init_module": (zero, 1, b""), "finit_module": (-1, b"", 0), "kexec_load": (0, 0, 0, 0),
    "migrate_pages": (0, 0, 0, 0), "move_pages": (0, 0, 0, 0, 0, 0), "iopl": (3,), "modify_ldt": (0, zero, 16),
    "open_by_handle_at": (-1, zero, 0), "sethostname": (b"x", 1),
    "statmount": (zero, zero, 1, 0), "setns": (-1, 0), "pidfd_getfd": (-1, 0, 0), "fspick": (-1, b"", 0),
}
for name, arguments in CALLS.items():
    if reached(name, *arguments):
        hit(name)
finish()
