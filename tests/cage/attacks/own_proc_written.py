# Changes what /proc allows a process to change about itself: id maps, out-of-memory score, limits of its parent.
# range: plain=either
# Without a cage it depends on whether root has all capabilities.
from contextlib import suppress

from common import finish, hit

for name, text in (("uid_map", "0 0 1"), ("gid_map", "0 0 1"), ("setgroups", "allow"), ("oom_score_adj", "-900"),
                   ("projid_map", "0 0 1")):
    with suppress(OSError):
        before = open(f"/proc/self/{name}").read()
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
        if name != "setgroups" or before.strip() != open(f"/proc/self/{name}").read().strip():
            hit(name)
finish()
