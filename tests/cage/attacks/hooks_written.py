# Plants what git, editors and shells run by themselves, in a granted folder that has it already (the host compares).
import os
from contextlib import suppress

from common import PROJECT, finish

os.chdir(PROJECT)
for name in (".git/hooks/pre-commit", ".git/hooks/post-checkout", ".git/config", ".vscode/tasks.json",
             ".vscode/settings.json", ".envrc", ".husky/pre-commit", ".idea/workspace.xml", ".claude/settings.json",
             ".cursor/mcp.json", ".mcp.json"):
    with suppress(OSError), open(name, "a") as file:
        file.write("planted\n")
with suppress(OSError):
    os.chmod(".git/hooks/pre-push.sample", 0o755)
with suppress(OSError):
    os.unlink(".git/hooks/pre-commit")
with suppress(OSError):
    os.rename(".git/hooks/pre-push.sample", ".git/hooks/pre-push")
with suppress(OSError):
    os.link("readme.txt", ".git/hooks/post-merge")
finish("the host looks")
