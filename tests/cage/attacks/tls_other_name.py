# TLS with the name of another host in the hello (domain fronting): in one piece, in bytes, in several records, after
# an empty record, and beside a granted name. The host reads what arrives.
import socket
import ssl
import struct
import time
from contextlib import suppress

from common import facts, finish


def hello(server_name):
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=server_name).do_handshake()
    return outgoing.read()


def records(data, size):
    handshake = data[5:]
    pieces = [handshake[at:at + size] for at in range(0, len(handshake), size)]
    return b"".join(data[:3] + struct.pack("!H", len(piece)) + piece for piece in pieces)


other = hello("forbidden.test")
for pieces in ([other], [other[at:at + 16] for at in range(0, len(other), 16)], [records(other, 40)],
               [records(other, 200)[:100], records(other, 200)[100:]], [other.replace(b"forbidden.test", b"FORBIDDEN.test")]):
    for host in facts["granted_hosts"]:
        with suppress(OSError), socket.create_connection((host, facts["granted_port"]), 1) as stream:
            stream.settimeout(0.4)
            for piece in pieces:
                stream.sendall(piece)
                time.sleep(0.002)
            stream.recv(200)
            break
finish("the host reads")
