# Raises its limits again, and those of its parent.
# range: plain=root
import os
import resource
from contextlib import suppress

from common import finish, hit, in_child

for name, value in (("NOFILE", 900_000), ("CORE", resource.RLIM_INFINITY), ("NICE", 40), ("RTPRIO", 99),
                    ("MEMLOCK", resource.RLIM_INFINITY), ("MSGQUEUE", 1 << 30)):
    limit = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(limit)[1]
    if in_child(lambda: resource.setrlimit(limit, (value, value))) == 0:
        hit(f"{name} from {hard} to {value}")
with suppress(OSError, ValueError):
    if os.getppid() > 0:
        resource.prlimit(os.getppid(), resource.RLIMIT_CORE, resource.prlimit(os.getppid(), resource.RLIMIT_CORE))
        hit("limits of the parent")
finish()
