# Runs and imports code that lies in a folder granted for reading: a package, a script, a shell script, bytecode.
import subprocess
import sys

from common import done, facts, works

sys.path.insert(0, facts["readonly"] + "/lib")
import granted_package.inner

works(granted_package.inner.answer() == 42, "a package")
run = subprocess.run([facts["readonly"] + "/bin/tool", "x"], capture_output=True, text=True)
works(run.stdout == "tool x\n", f"a tool: {run.stderr}")
done()
