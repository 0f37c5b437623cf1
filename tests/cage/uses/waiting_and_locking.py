# Calls that libraries make: epoll, eventfd, timers, signalfd, inotify, locks, maps, sendfile, splice, nice, limits.
import asyncio
import ctypes
import fcntl
import mmap
import os
import resource
import select
import signal

from common import PROJECT, done, libc, works

poller = select.epoll()
event = os.eventfd(1)
poller.register(event, select.EPOLLIN)
works(poller.poll(1) and os.eventfd_read(event) == 1, "epoll and eventfd")
works(libc.timerfd_create(1, 0) >= 0, "timerfd")
works(libc.signalfd(-1, ctypes.create_string_buffer(128), 0) >= 0, "signalfd")
watch = libc.inotify_init1(0)
works(libc.inotify_add_watch(watch, PROJECT.encode(), 0x100) >= 0, "inotify")
with open(PROJECT + "/locked", "w+b") as file:
    file.write(bytes(8192))
    file.flush()
    works(select.select([watch], [], [], 2)[0], "inotify says so")
    fcntl.flock(file, fcntl.LOCK_EX)
    fcntl.lockf(file, fcntl.LOCK_EX)
    with mmap.mmap(file.fileno(), 8192) as memory:
        memory[0:2] = b"ok"
        memory.flush()
    os.fsync(file)
    reading, writing = os.pipe()
    works(os.sendfile(writing, file.fileno(), 0, 100) == 100 and len(os.read(reading, 200)) == 100, "sendfile")
    target = os.open(PROJECT + "/copied", os.O_CREAT | os.O_WRONLY)
    works(os.copy_file_range(file.fileno(), target, 8192, 0) == 8192, "copy_file_range")


async def work():
    process = await asyncio.create_subprocess_exec("echo", "x", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out


works(asyncio.run(work()) == b"x\n", "asyncio with a child")
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
os.nice(1)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
works(os.sched_getaffinity(0), "affinity")
os.sched_yield()
works(os.getrandom(8), "getrandom")
done()
