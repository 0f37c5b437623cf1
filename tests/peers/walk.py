"""Walks through everything an MCP server offers with the official Python SDK and prints what it saw as JSON.

The one argument is the walk as JSON: `command` and `environment`, or `url`, `transport` (sse) and `token`; `era` (legacy, modern, auto);
`root`, `calls`, `prompts` and `reads`. Questions of the server (sampling, elicitation, roots) get the same answers each time,
so that two walks can be compared.
"""

import asyncio
import json
import sys

import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def sample(context, params):
    return types.CreateMessageResult(
        role="assistant", content=types.TextContent(type="text", text="sampled"), model="none", stop_reason="endTurn"
    )


async def elicit(context, params):
    return types.ElicitResult(action="decline")


def roots(task):
    async def answer(context):
        return types.ListRootsResult(roots=[types.Root(uri=task["root"], name="walk")])

    return answer


async def attempt(awaitable):
    try:
        return plain(await awaitable)
    except MCPError as error:
        return {"error": error.error.code, "message": error.error.message}


async def pages(method, member):
    found, cursor = [], None
    try:
        while True:
            page = await method(cursor=cursor)
            found += [plain(item) for item in getattr(page, member)]
            cursor = page.next_cursor
            if cursor is None:
                return found
    except MCPError as error:
        return {"error": error.error.code, "message": error.error.message}


async def walk(task):
    http = None
    if task.get("transport") == "sse":
        server = sse_client(task["url"])
    elif "url" in task:
        headers = {"Authorization": f"Bearer {task['token']}"} if task.get("token") else {}
        http = httpx2.AsyncClient(headers=headers, timeout=60)
        server = streamable_http_client(task["url"], http_client=http)
    else:
        command, *arguments = task["command"]
        server = StdioServerParameters(command=command, args=arguments, env=task.get("environment"))
    era = {"modern": "2026-07-28"}.get(task["era"], task["era"])
    callbacks = dict(sampling_callback=sample, elicitation_callback=elicit, list_roots_callback=roots(task))
    async with Client(server, mode=era, cache=None, read_timeout_seconds=60, **callbacks) as client:
        seen = {
            "version": client.protocol_version,
            "tools": await pages(client.list_tools, "tools"),
            "prompts": await pages(client.list_prompts, "prompts"),
            "resources": await pages(client.list_resources, "resources"),
            "templates": await pages(client.list_resource_templates, "resource_templates"),
        }
        seen["calls"] = [await attempt(client.call_tool(c["tool"], c["arguments"])) for c in task["calls"]]
        seen["gets"] = [await attempt(client.get_prompt(p["name"], p.get("arguments"))) for p in task["prompts"]]
        seen["reads"] = [await attempt(client.read_resource(uri)) for uri in task["reads"]]
        if task.get("read_all") and isinstance(seen["resources"], list):
            seen["all"] = [await attempt(client.read_resource(r["uri"])) for r in seen["resources"]]
    if http is not None:
        await http.aclose()
    return seen


print(json.dumps(asyncio.run(walk(json.loads(sys.argv[1])))))
