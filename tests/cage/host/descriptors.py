# Runs a command with descriptors left open, as a careless launcher does: descriptors.py FACTS CMD …
import json
import os
import socket
import sys

with open(sys.argv[1]) as file:
    facts = json.load(file)
canary = facts["canary"][::-1].encode()
memory = os.memfd_create("left open", 0)
os.write(memory, canary)
reading, writing = os.pipe()
os.write(writing, canary)
left = [
    os.open(facts["secrets"][0], os.O_RDONLY),
    os.open(facts["home"], os.O_RDONLY | os.O_DIRECTORY),
    os.open(facts["home"], os.O_PATH),
    os.open(facts["outside"] + "/log", os.O_WRONLY | os.O_APPEND),
    socket.create_connection(("127.0.0.1", facts["granted_port"])).detach(),
    memory,
    reading,
]
for descriptor in left:
    os.set_inheritable(descriptor, True)
os.execvp(sys.argv[2], sys.argv[2:])
