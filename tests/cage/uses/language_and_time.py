# Locale, time zone, user, temporary files, random numbers, certificates.
import datetime
import locale
import os
import pwd
import ssl
import subprocess
import time
import zoneinfo

from common import done, works

works("é".encode() == "é".encode("utf-8") and os.fsencode("é") == "é".encode(), "UTF-8 in file names")
works(locale.setlocale(locale.LC_ALL, "C.UTF-8"), "a locale")
works(abs(time.time() - os.stat("/proc/self").st_mtime) < 3600, "the clock")
works(datetime.datetime.now().astimezone().tzinfo is not None, "the time zone")
if os.path.isdir("/usr/share/zoneinfo/Europe"):
    works(zoneinfo.ZoneInfo("Europe/Berlin").key, "time zones")
os.environ["TZ"] = "UTC"
works(subprocess.run(["date"], capture_output=True).returncode == 0, "date")
works(len(os.urandom(16)) == 16 and len(open("/dev/urandom", "rb").read(4)) == 4, "random numbers")
works(ssl.create_default_context() is not None, "TLS")
works(os.path.expanduser("~").startswith("/"), "a home")
works(subprocess.run(["id"], capture_output=True).returncode == 0, "id")
try:
    works(pwd.getpwuid(os.getuid()).pw_dir, "an entry for the user")
except KeyError:
    pass
done()
