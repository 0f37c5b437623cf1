# Signals everything that this user may signal: kill(-1), with a signal that does no harm (the host's victim notes it).
# range: world=victim
import os
import signal
from contextlib import suppress

from common import finish

with suppress(OSError):
    os.kill(-1, signal.SIGCONT)
finish("the host looks")
