# Runs a command on a terminal of its own, and says what was pushed into that terminal meanwhile:
# terminal.py FACTS CMD …
import fcntl
import os
import pty
import signal
import sys
import termios
import tty

master, slave = pty.openpty()
if os.fork() == 0:
    os.close(master)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)
    os.close(slave)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    command = os.fork()
    if command == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    tty.setraw(0, termios.TCSANOW)
    os.set_blocking(0, False)
    try:
        pushed = os.read(0, 100)
    except BlockingIOError:
        pushed = b""
    if pushed:
        os.write(1, b"HOST keystrokes were pushed: " + repr(pushed).encode() + b"\r\n")
    os._exit(code & 255)
os.close(slave)
while True:
    try:
        data = os.read(master, 65536)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) & 255)
