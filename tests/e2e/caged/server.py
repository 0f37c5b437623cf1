"""A server with one tool, `run`: executes the code that it is given and answers with what is in `said` afterwards."""

import json
import sys


def answer(id, member, value):
    print(json.dumps({"jsonrpc": "2.0", "id": id, member: value}), flush=True)


for line in sys.stdin:
    message = json.loads(line)
    id, method = message.get("id"), message.get("method")
    if method == "initialize":
        about = {"name": "caged", "version": "1"}
        version = message["params"]["protocolVersion"]
        answer(id, "result", {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about})
    elif method == "tools/list":
        answer(id, "result", {"tools": [{"name": "run", "inputSchema": {"type": "object"}}]})
    elif method == "tools/call":
        place = {"said": ""}
        try:
            exec(message["params"]["arguments"]["code"], place)
        except Exception as error:
            place["said"] = f"{type(error).__name__}: {error}"
        answer(id, "result", {"content": [{"type": "text", "text": str(place["said"])}]})
    elif id is not None:
        answer(id, "error", {"code": -32601, "message": "Method not found"})
