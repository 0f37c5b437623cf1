# Opens 70 000 descriptors; before that raises the soft limit as far as it goes.
# range: ended=yes
import os
import resource
from contextlib import suppress

from common import facts, finish, hit

with suppress(OSError, ValueError):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
count = 0
with suppress(OSError):
    for count in range(70_000):
        os.open("/dev/null", os.O_RDONLY)
if count > facts["limits"]["descriptors"]:
    hit(f"{count} descriptors")
finish(f"stopped at {count}")
