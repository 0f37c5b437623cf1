# Finds a key in the session keyring that the launcher left to it (Docker before 1.13; keys are in no namespace).
# range: with=keyring
import ctypes

from common import MARK, call, finish, hit, secret

SEARCH, READ = 10, 11
for ring in (-3, -4, -5, -2):
    key, _ = call("keyctl", SEARCH, ring, b"user", MARK.encode(), 0)
    if key >= 0:
        buffer = ctypes.create_string_buffer(100)
        call("keyctl", READ, key, buffer, 100)
        hit(f"a key in ring {ring}" + (": its secret" if secret(buffer.raw) else ""))
finish()
