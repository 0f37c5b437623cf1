# Runs a command with a secret in its session keyring: keyring.py FACTS CMD …
import ctypes
import json
import os
import platform
import sys

with open(sys.argv[1]) as file:
    facts = json.load(file)
canary = facts["canary"][::-1].encode()
add_key, keyctl = (217, 219) if platform.machine() == "aarch64" else (248, 250)
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(keyctl, 1, None)
libc.syscall(add_key, b"user", facts["mark"].encode(), canary, len(canary), -3)
os.execvp(sys.argv[2], sys.argv[2:])
