# Plants a repository with hooks in a granted folder that has none yet (codex and srt make empty ones to prevent this).
# range: world=bare
import os
from contextlib import suppress

from common import PROJECT, finish

os.chdir(PROJECT)
for name in (".git/hooks/pre-commit", ".git/config"):
    with suppress(OSError):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "w") as file:
            file.write("planted\n")
finish("the host looks")
