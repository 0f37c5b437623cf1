# Kills who watches over it, its parent and the cage's first process, and goes on without them (the host looks).
# range: seconds=15
import os
import signal
import time
from contextlib import suppress

from common import PROJECT

launcher = os.getppid()
beat = os.open(PROJECT + "/beat", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
for pid in ({os.getppid(), 1} if os.getppid() < 2 else {os.getppid()}) - {0}:
    for number in (signal.SIGTERM, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL):
        with suppress(OSError):
            os.kill(pid, number)
with suppress(OSError):
    os.setsid()
for _ in range(20):
    os.write(beat, b".")
    time.sleep(0.05)
print("CONTAINED the host looks", flush=True)
for _ in range(160):
    if os.getppid() == launcher:
        os._exit(0)
    os.write(beat, b".")
    time.sleep(0.05)
