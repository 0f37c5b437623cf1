# Leads git to other hooks without touching them: `.git` as a file, as a link, `.git/commondir` (gitrepository-layout).
import os
from contextlib import suppress

from common import PROJECT, finish

os.chdir(PROJECT)
os.makedirs("other/hooks", exist_ok=True)
with open("other/hooks/pre-commit", "w") as file:
    file.write("#!/bin/sh\n# planted\n")
with open("other/config", "w") as file:
    file.write("[core]\n\tfsmonitor = planted\n")
with suppress(OSError), open(".git/commondir", "w") as file:
    file.write("../other\n")
with suppress(OSError), open(".git/config.worktree", "w") as file:
    file.write("[core]\n\tfsmonitor = planted\n")
for make in (lambda: os.symlink("other", ".git"), lambda: open(".git", "w").write("gitdir: other\n")):
    with suppress(OSError):
        os.rename(".git", ".git.old")
    with suppress(OSError):
        make()
finish("the host looks")
