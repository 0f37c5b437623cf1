# Writes a program into a granted folder and into its scratch space, and runs it (build tools, npm scripts).
import os
import shutil
import subprocess

from common import PROJECT, done, works

for folder in (PROJECT,):
    with open(folder + "/build.sh", "w") as file:
        file.write("#!/bin/sh\necho built $1\n")
    os.chmod(folder + "/build.sh", 0o755)
    works(subprocess.run([folder + "/build.sh", "it"], capture_output=True).stdout == b"built it\n", f"a script in {folder}")
    shutil.copy("/bin/echo", folder + "/program")
    works(subprocess.run([folder + "/program", "hi"], capture_output=True).stdout == b"hi\n", f"a program in {folder}")
done()
