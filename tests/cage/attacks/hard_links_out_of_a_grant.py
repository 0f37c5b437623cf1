# Links a file that is not granted into a folder that is; both are on one file system (srt, Landlock without REFER).
import os
from contextlib import suppress

from common import PROJECT, facts, finish, hit, libc

for number, target in enumerate(facts["secrets"] + [facts["outside"] + "/token", facts["readonly"] + "/kept.txt"]):
    name = f"{PROJECT}/hard{number}"
    with suppress(OSError):
        os.link(target, name)
        hit(f"linked {target}")
        with open(name, "a") as file:
            file.write("planted\n")
    with suppress(OSError):
        descriptor = os.open(target, os.O_PATH)
        for source, flags in ((f"/proc/self/fd/{descriptor}", 0x400), ("", 0x1000)):
            at = descriptor if not source else -100
            if libc.linkat(at, source.encode(), -100, (name + "b").encode(), flags) == 0 and number < 3:
                hit(f"linked {target} by descriptor")
finish()
