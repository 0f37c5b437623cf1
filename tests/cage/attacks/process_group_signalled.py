# Signals its own process group, in which the launcher and other jobs of the shell still are (no setsid).
# range: world=victim
import os
import signal
from contextlib import suppress

from common import finish

signal.signal(signal.SIGUSR1, signal.SIG_IGN)
with suppress(OSError):
    os.kill(0, signal.SIGUSR1)
finish("the host looks")
