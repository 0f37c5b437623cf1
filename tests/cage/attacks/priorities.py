# Starves the others: real-time scheduling, deadline, negative nice, real-time input and output.
# range: plain=root
import os

from common import call, finish, hit, in_child

attempts = {
    "SCHED_FIFO": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "SCHED_RR": lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    "nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
    "ioprio": lambda: call("ioprio_set", 1, 0, 1 << 13)[1],
    "nice of the parent": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), -10) if os.getppid() else 1,
}
for what, attempt in attempts.items():
    if in_child(attempt) == 0:
        hit(what)
finish()
