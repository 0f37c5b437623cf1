# 400 short-lived grandchildren whose parents are gone: somebody must take their last word, or no process is left.
import os
import time

from common import done, in_child, works


def leave_one():
    if os.fork() == 0:
        time.sleep(0.002)
        os._exit(0)


for number in range(400):
    works(in_child(leave_one) == 0, f"grandchild {number}")
done()
