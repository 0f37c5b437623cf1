# What a commit does to .git besides hooks and config: objects, index, refs, logs, by lock files and renames.
import os

from common import PROJECT, done, works

os.chdir(PROJECT + "/.git")
for name, text in (("index", "index"), ("refs/heads/main", "0" * 40), ("HEAD", "ref: refs/heads/main"),
                   ("packed-refs", "# pack-refs"), ("COMMIT_EDITMSG", "message")):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    descriptor = os.open(name + ".lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    os.write(descriptor, text.encode())
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(name + ".lock", name)
os.makedirs("objects/ab", exist_ok=True)
with open("objects/ab/tmp_obj", "wb") as file:
    file.write(b"object")
os.link("objects/ab/tmp_obj", "objects/ab/cdef")
os.unlink("objects/ab/tmp_obj")
os.makedirs("logs/refs/heads", exist_ok=True)
with open("logs/HEAD", "a") as file:
    file.write("log\n")
works("core" in open("config").read(), "the configuration is read")
works("original" in open("hooks/pre-commit").read(), "hooks are read")
print("SEE .git/refs/heads/main " + "0" * 40)
print("SEE .git/objects/ab/cdef object")
done()
