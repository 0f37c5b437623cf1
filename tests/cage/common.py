"""What the scripts of the range share: facts about the host, system calls by number, one verdict at the end."""
import ctypes
import errno
import json
import os
import platform
import sys

with open(sys.argv[1]) as file:
    facts = json.load(file)
# Kept backwards, so that a search for it does not find the facts.
CANARY = facts["canary"][::-1]
HOME, PROJECT, MARK = facts["home"], facts["project"], facts["mark"]
libc = ctypes.CDLL(None, use_errno=True)
hits = []

# name: (x86_64, aarch64)
NUMBERS = {
    "ioctl": (16, 29), "socket": (41, 198), "clone": (56, 220), "ptrace": (101, 117), "syslog": (103, 116),
    "rt_sigqueueinfo": (129, 138), "personality": (135, 92), "modify_ldt": (154, None), "pivot_root": (155, 41),
    "acct": (163, 89), "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224), "sethostname": (170, 161),
    "iopl": (172, None), "init_module": (175, 105), "quotactl": (179, 60), "tgkill": (234, 131),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "kexec_load": (246, 104), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "ioprio_set": (251, 30), "migrate_pages": (256, 238),
    "unshare": (272, 97), "vmsplice": (278, 75), "move_pages": (279, 239), "perf_event_open": (298, 241),
    "fanotify_init": (300, 262), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "setns": (308, 268), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "finit_module": (313, 273), "memfd_create": (319, 279), "bpf": (321, 280), "userfaultfd": (323, 282),
    "pidfd_send_signal": (424, 424), "io_uring_setup": (425, 425), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fspick": (433, 433), "pidfd_open": (434, 434),
    "clone3": (435, 435), "openat2": (437, 437), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "mount_setattr": (442, 442), "memfd_secret": (447, 447), "fchmodat2": (452, 452), "statmount": (457, 457),
}


def call(name, *arguments):
    """The result of a system call and its error number, both 0 or more only on success."""
    number = NUMBERS[name][platform.machine() == "aarch64"] if isinstance(name, str) else name
    if number is None:
        return -1, errno.ENOSYS
    wide = [ctypes.c_long(it) if isinstance(it, int) else it for it in arguments]
    result = libc.syscall(ctypes.c_long(number), *wide)
    return result, ctypes.get_errno() if result < 0 else 0


def reached(name, *arguments):
    """Whether the kernel took the call up at all: it worked, or failed for another reason than a wall."""
    result, error = call(name, *arguments)
    return result >= 0 or error not in (errno.EPERM, errno.EACCES, errno.ENOSYS)


def in_child(action):
    """The exit code of a child that does this; its exceptions are 99, its death by a signal is negative."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = action() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def secret(data):
    return CANARY.encode() in (data if isinstance(data, bytes) else data.encode())


def hit(what):
    """Something got through."""
    hits.append(str(what))


def finish(note="nothing got through"):
    """The verdict; the host may know better."""
    if hits:
        print("ESCAPED", "; ".join(hits)[:600], flush=True)
    else:
        print("CONTAINED", note, flush=True)
    os._exit(1 if hits else 0)


def works(condition, what):
    """For scripts that must work in a cage."""
    if not condition:
        print("BROKEN", what, flush=True)
        os._exit(1)


def done():
    print("WORKS", flush=True)
    os._exit(0)


print("BEGUN", flush=True)
