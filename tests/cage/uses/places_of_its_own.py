# Home and temporary folders of its own: they can be written, and the host's stay as they are.
# range: plain=not-run
# Without a cage it is the user's own home that is written.
import os
import tempfile

from common import MARK, done, works

home = os.path.expanduser("~")
for folder in (home, tempfile.gettempdir(), "/tmp", "/dev/shm"):
    path = f"{folder}/{MARK}.own"
    with open(path, "w") as file:
        file.write("x")
    works(open(path).read() == "x", folder)
    os.unlink(path)
os.makedirs(home + "/.cache/x/y", exist_ok=True)
with tempfile.NamedTemporaryFile() as file:
    file.write(b"x" * (10 << 20))
    file.flush()
    works(os.stat(file.name).st_size == 10 << 20, "10 MB of scratch")
done()
