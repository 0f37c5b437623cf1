# Stays by writing what the user's shell, desktop and tools run next time (the host compares the files).
import os
from contextlib import suppress

from common import HOME, finish

for name in (".bashrc", ".profile", ".bash_profile", ".zshenv", ".ssh/authorized_keys", ".ssh/rc", ".npmrc",
             ".config/autostart/x.desktop", ".config/systemd/user/x.service", ".local/bin/npx", ".gitconfig",
             ".local/lib/python3.11/site-packages/x.pth", ".claude/settings.json", ".cursor/mcp.json"):
    with suppress(OSError):
        os.makedirs(os.path.dirname(f"{HOME}/{name}"), exist_ok=True)
        with open(f"{HOME}/{name}", "a") as file:
            file.write("planted\n")
finish("the host looks")
