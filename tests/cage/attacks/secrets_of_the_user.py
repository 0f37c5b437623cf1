# Reads keys and tokens in the home of the user, by every name that leads there.
from contextlib import suppress

from common import HOME, facts, finish, hit, secret

names = facts["secrets"] + [HOME + "/project/../.ssh/id_ed25519", "/proc/self/root" + HOME + "/.aws/credentials",
                            HOME + "/./project/.//../.aws/credentials", "/.." + HOME + "/.ssh/id_ed25519"]
for name in names:
    with suppress(OSError):
        if secret(open(name).read()):
            hit(name)
finish()
