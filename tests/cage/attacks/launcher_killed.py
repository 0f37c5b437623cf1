# Lives on when its launcher is killed, without any chance to clean up (the host kills it).
# range: end=kill seconds=15
import os
import signal
import time
from contextlib import suppress

from common import PROJECT

for number in range(1, 65):
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)
beat = os.open(PROJECT + "/beat", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
if os.fork() == 0:
    os.setsid()
print("READY", flush=True)
for _ in range(200):
    os.write(beat, b".")
    time.sleep(0.05)
