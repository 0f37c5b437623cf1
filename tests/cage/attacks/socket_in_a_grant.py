# Connects to a socket of the host that lies in a granted folder: the folder is granted, the service is not.
import os
import socket
from contextlib import suppress

from common import PROJECT, facts, finish, hit

for path in (PROJECT + "/service.sock", facts["readonly"] + "/service.sock"):
    with suppress(OSError), socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(0.5)
        os.chdir(os.path.dirname(path))
        stream.connect("service.sock")
        hit(path)
        stream.send(b"exfil")
finish()
