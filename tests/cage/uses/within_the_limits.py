# Uses much, but less than is granted: 300 MB, 60 processes, 40 MB and 1500 files in a granted folder, 300 descriptors.
# range: heavy=yes
import os
import shutil
import signal
import time

from common import PROJECT, done, works

children = []
for _ in range(60):
    pid = os.fork()
    if pid == 0:
        time.sleep(10)
        os._exit(0)
    children.append(pid)
time.sleep(0.3)
for pid in children:
    os.kill(pid, signal.SIGKILL)
works(all(os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL for pid in children), "60 processes")
memory = bytearray(300 << 20)
memory[::4096] = b"x" * (300 << 8)
time.sleep(0.3)
with open(PROJECT + "/big", "wb") as file:
    for _ in range(40):
        file.write(b"x" * (1 << 20))
# What is removed again is free again.
for round_ in range(4):
    with open(PROJECT + "/again", "wb") as file:
        file.write(b"x" * (15 << 20))
    os.unlink(PROJECT + "/again")
    time.sleep(0.2)
os.mkdir(PROJECT + "/many")
for number in range(1500):
    os.close(os.open(f"{PROJECT}/many/{number}", os.O_CREAT | os.O_WRONLY))
shutil.rmtree(PROJECT + "/many")
works(len([os.open("/dev/null", os.O_RDONLY) for _ in range(300)]) == 300, "300 descriptors")
done()
