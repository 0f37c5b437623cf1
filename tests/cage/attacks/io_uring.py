# Sets up io_uring, which opens files and sockets without those system calls (past every seccomp filter).
import ctypes

from common import call, finish, hit

if call("io_uring_setup", 8, ctypes.create_string_buffer(256))[0] >= 0:
    hit("io_uring")
finish()
