# Plants a package in the caches that the user's package managers trust (npm, pip, uv, cargo; the host looks).
import os
from contextlib import suppress

from common import HOME, finish

for name in (".npm/_cacache/x", ".cache/uv/x", ".cache/pip/x", ".cargo/bin/x", ".cargo/registry/x"):
    with suppress(OSError):
        os.makedirs(os.path.dirname(f"{HOME}/{name}"), exist_ok=True)
        with open(f"{HOME}/{name}", "w") as file:
            file.write("planted\n")
finish("the host looks")
