# The hooks of a second repository, deeper in the granted folder (a submodule, a monorepo's part; the host looks).
import os
from contextlib import suppress

from common import PROJECT, finish

os.chdir(PROJECT + "/lib/part")
with suppress(OSError), open(".git/hooks/pre-commit", "a") as file:
    file.write("planted\n")
with suppress(OSError), open(".git/config", "a") as file:
    file.write("[core]\n\tfsmonitor = planted\n")
with suppress(OSError):
    os.rename(".git", ".git.old")
    os.makedirs(".git/hooks")
    with open(".git/hooks/pre-commit", "w") as file:
        file.write("planted\n")
finish("the host looks")
