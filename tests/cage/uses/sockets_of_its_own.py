# Unix sockets within the cage: paths, abstract names, pairs, descriptors handed over.
import os
import socket
import tempfile

from common import PROJECT, done, works

for address in (tempfile.mkdtemp() + "/s", "\0its-own"):
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    peer, _ = server.accept()
    client.sendall(b"hello")
    works(peer.recv(10) == b"hello", f"a socket at {address!r}")
left, right = socket.socketpair()
socket.send_fds(left, [b"x"], [os.open(PROJECT + "/readme.txt", os.O_RDONLY)])
_, descriptors, _, _ = socket.recv_fds(right, 10, 1)
works(os.read(descriptors[0], 7) == b"granted", "a descriptor handed over")
datagrams = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
datagrams[0].send(b"x" * 1000)
works(len(datagrams[1].recv(2000)) == 1000, "datagrams")
done()
