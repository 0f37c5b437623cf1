# Uses the kernel's keys: kernel memory outside of every limit, and request_key starts a program on the host.
from common import finish, hit, reached

if reached("add_key", b"user", b"mine", b"x", 1, -2):
    hit("add_key")
if reached("keyctl", 0, -3, 0):
    hit("keyctl")
if reached("request_key", b"user", b"nobody has this", None, 0):
    hit("request_key")
finish()
