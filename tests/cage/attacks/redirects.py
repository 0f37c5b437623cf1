# Lets the granted host send it on to one that is not: by address, by name, to another port.
import urllib.request
from contextlib import suppress

from common import facts, finish, hit, secret

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for path in ("/redirect", "/redirect-to-port", "/redirect-to-name"):
    for host in facts["granted_hosts"]:
        with suppress(OSError):
            answer = opener.open(f"http://{host}:{facts['granted_port']}{path}", timeout=2).read()
            if secret(answer):
                hit(path)
            break
finish()
