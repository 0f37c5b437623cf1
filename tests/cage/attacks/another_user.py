# Becomes another user or group of the host: ids, groups, file capabilities.
# range: plain=root
import os
from contextlib import suppress

from common import PROJECT, finish, hit, in_child

attempts = {
    "setuid": lambda: os.setresuid(61999, 61999, 61999),
    "setgid": lambda: os.setresgid(61999, 61999, 61999),
    "setgroups": lambda: os.setgroups([61999]),
    "chown": lambda: os.chown(PROJECT + "/readme.txt", 61999, 61999),
}
for what, attempt in attempts.items():
    if in_child(attempt) == 0:
        hit(what)
with suppress(OSError):
    with open(PROJECT + "/capable", "w"):
        pass
    os.setxattr(PROJECT + "/capable", "security.capability", bytes.fromhex("0000000201000000000000000000000000000000"))
    hit("file capability")
finish()
