# The variables that were granted, those that every program needs, and nothing is empty that should not be.
import os

from common import done, works

works(os.environ.get("GRANTED") == "a value with = and spaces", "the granted variable")
works("/usr/bin" in os.environ.get("PATH", ""), "PATH")
works(os.environ.get("HOME", "").startswith("/"), "HOME")
works(os.path.isabs(os.getcwd()), "a folder to be in")
done()
