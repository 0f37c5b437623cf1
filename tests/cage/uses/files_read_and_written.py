# Reads granted files, writes, appends, renames, removes, links, makes folders in a granted folder; the host sees it.
import os
import shutil

from common import PROJECT, done, facts, works

works(open(facts["readonly"] + "/kept.txt").read() == "kept\n", "read a granted file")
works(open(PROJECT + "/readme.txt").read() == "granted\n", "read a file in a folder that may be written")
os.chdir(PROJECT)
with open("written.txt", "w") as file:
    file.write("written in the cage")
with open("readme.txt", "a") as file:
    file.write("appended\n")
os.makedirs("a/b/c")
os.rename("written.txt", "a/b/c/moved.txt")
shutil.copy("a/b/c/moved.txt", "copy.txt")
os.symlink("copy.txt", "link.txt")
os.link("copy.txt", "same.txt")
os.unlink("removed.txt")
shutil.rmtree("removed")
os.replace("copy.txt", "final.txt")
os.chmod("final.txt", 0o755)
os.utime("final.txt", (1_000_000_000, 1_000_000_000))
works(os.stat("final.txt").st_mode & 0o777 == 0o755, "modes")
works(os.stat("final.txt").st_mtime == 1_000_000_000, "times")
works(os.stat("same.txt").st_nlink == 2, "hard links")
print("SEE a/b/c/moved.txt written in the cage")
print("SEE final.txt written in the cage")
print("SEE readme.txt granted\\nappended\\n")
print("GONE removed.txt")
print("GONE removed/inner.txt")
done()
