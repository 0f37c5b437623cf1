# A fork bomb that grows: each process starts two, in sessions of their own, and each child outlives its parent; all
# end by themselves after 3 s, at most 500 of them.
# range: ended=yes heavy=yes
import os
import time
from contextlib import suppress

from common import PROJECT, facts, finish, hit

count = os.open(PROJECT + "/count", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
end = time.time() + 3


def bomb(depth):
    for _ in range(2):
        with suppress(OSError):
            if os.fork() == 0:
                with suppress(OSError):
                    os.setsid()
                os.write(count, b".")
                if depth < 8 and os.fstat(count).st_size < 450:
                    bomb(depth + 1)
                time.sleep(max(0, end - time.time()))
                os._exit(0)


bomb(1)
time.sleep(1.5)
alive = os.fstat(count).st_size
if alive > facts["limits"]["processes"] + 10:
    hit(f"{alive} processes at a time")
time.sleep(max(0, end - time.time()) + 0.2)
finish(f"stopped at {alive}")
