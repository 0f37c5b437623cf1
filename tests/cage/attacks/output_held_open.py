# Ends, but a daemon keeps its output open, so that whoever reads it waits for ever (the host waits for the end).
# range: seconds=15
import os
import signal
import time

from common import finish

if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(10)
    os._exit(0)
finish("the host looks")
