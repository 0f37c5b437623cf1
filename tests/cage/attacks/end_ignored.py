# Asked to end, ignores it, with a busy child and a child in a session of its own (the host asks,
# waits, and kills the launcher).
# range: end=term-kill seconds=25
import os
import signal
import time
from contextlib import suppress

from common import PROJECT

for number in range(1, 65):
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)
end = time.time() + 20
if os.fork() == 0:
    os.setsid()
    beat = os.open(PROJECT + "/beat", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    while time.time() < end:
        os.write(beat, b".")
        time.sleep(0.05)
    os._exit(0)
if os.fork() == 0:
    while time.time() < end:
        pass
    os._exit(0)
print("READY", flush=True)
time.sleep(20)
