# Closes its input and its output, so that it seems to have ended, and goes on; then its launcher is killed.
# range: end=kill seconds=15
import os
import signal
import time

from common import PROJECT

for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
beat = os.open(PROJECT + "/beat", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
print("READY", flush=True)
os.closerange(0, 3)
for _ in range(200):
    os.write(beat, b".")
    time.sleep(0.05)
