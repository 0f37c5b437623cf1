# Starts 400 threads in one process (a thread counts like a process, or it must be counted itself).
# range: ended=yes heavy=yes
import threading
import time
from contextlib import suppress

from common import facts, finish, hit

threading.stack_size(65536)
over = threading.Event()
count = 0
with suppress(RuntimeError):
    for count in range(400):
        threading.Thread(target=over.wait, daemon=True).start()
time.sleep(0.3)
if count > facts["limits"]["processes"] + 10:
    hit(f"{count} threads")
finish(f"stopped at {count}")
