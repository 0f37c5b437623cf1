# A protected folder cannot be written, so its parent is moved away and made anew (mounts move with their folder).
import ctypes
import os
import shutil
from contextlib import suppress

from common import PROJECT, finish, libc

os.chdir(PROJECT)
for folder, file in ((".git", "hooks/pre-commit"), (".git/hooks", "pre-commit"), (".vscode", "tasks.json"),
                     (".husky", "pre-commit"), (".git", "config")):
    with suppress(OSError):
        os.rename(folder, folder + ".old")
    path = os.path.join("made", file)
    shutil.rmtree("made", ignore_errors=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as planted:
        planted.write("#!/bin/sh\n# planted\n")
    # RENAME_EXCHANGE, then a plain rename, then file by file.
    libc.renameat2(-100, b"made", -100, folder.encode(), ctypes.c_uint(2))
    with suppress(OSError):
        os.rename("made", folder)
    with suppress(OSError):
        os.makedirs(os.path.dirname(os.path.join(folder, file)), exist_ok=True)
        with open(os.path.join(folder, file), "w") as planted:
            planted.write("#!/bin/sh\n# planted\n")
finish("the host looks")
