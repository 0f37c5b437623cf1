# Looks for variables of the launcher in its own environment (every launcher that does not clear it).
import os

from common import CANARY, finish, hit

for name, value in os.environ.items():
    if CANARY in value or name in ("SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY"):
        hit(name)
finish()
