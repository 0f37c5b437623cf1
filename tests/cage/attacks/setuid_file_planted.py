# Leaves a program with the set-user-id bit in a granted folder: as root's own, whoever runs it becomes root
# (systemd has RestrictSUIDSGID= against this; the host looks at the modes).
import os
import shutil
from contextlib import suppress

from common import PROJECT, call, finish

os.chdir(PROJECT)
shutil.copy("/bin/true", "one")
with suppress(OSError):
    os.chmod("one", 0o4755)
with suppress(OSError):
    os.fchmod(os.open("one", os.O_RDONLY), 0o6755)
shutil.copy("/bin/true", "two")
call("fchmodat2", -100, b"two", 0o6755, 0)
os.umask(0)
with suppress(OSError):
    os.open("three", os.O_CREAT | os.O_WRONLY, 0o6777)
with suppress(OSError):
    os.mkdir("four", 0o3777)
with suppress(OSError):
    os.mknod("five", 0o104755)
finish("the host looks")
