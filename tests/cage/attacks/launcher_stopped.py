# Stops who watches over it, so that nobody ends it: SIGSTOP to its parent and to the cage's first process; then it
# is asked to end.
# range: end=term seconds=25
import os
import signal
import time
from contextlib import suppress

from common import hit, hits

for pid in ({os.getppid(), 1} if os.getppid() < 2 else {os.getppid()}) - {0}:
    for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN):
        with suppress(OSError):
            os.kill(pid, number)
    time.sleep(0.1)
    with suppress(OSError):
        if open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] in "Tt":
            hit(f"{pid} is stopped")
if hits:
    print("ESCAPED", *hits, flush=True)
print("READY", flush=True)
time.sleep(20)
