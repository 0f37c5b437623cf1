# Starts 400 processes that sleep (the plain fork bomb).
# range: ended=yes heavy=yes
import os
import signal
import time
from contextlib import suppress

from common import facts, finish, hit

children = []
with suppress(OSError):
    for _ in range(400):
        pid = os.fork()
        if pid == 0:
            time.sleep(15)
            os._exit(0)
        children.append(pid)
time.sleep(0.3)
alive = sum(os.path.exists(f"/proc/{pid}/fd") and not os.waitpid(pid, os.WNOHANG)[0] for pid in children)
for pid in children:
    os.kill(pid, signal.SIGKILL)
if alive > facts["limits"]["processes"] + 10:
    hit(f"{alive} processes")
finish(f"{alive} of {len(children)}")
