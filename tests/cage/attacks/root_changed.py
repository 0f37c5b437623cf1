# chroot and out again with ".." from a folder outside of the new root.
# range: plain=root
import os

from common import PROJECT, finish, hit, in_child


def out():
    above = os.open("/", os.O_RDONLY)
    os.chroot(PROJECT)
    os.fchdir(above)
    os.chdir("../../../../../..")
    os.chroot(".")


if in_child(out) == 0:
    hit("chroot")
finish()
