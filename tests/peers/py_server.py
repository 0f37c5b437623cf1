"""A server of both eras over Streamable HTTP, with the official Python SDK: every kind of thing that a server offers, and
a tool for each kind of question. Listens on loopback and a free port, and says which.
"""

import asyncio
import socket
import sys
from typing import Annotated

import uvicorn
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import CreateMessageResult, ListRootsResult, SamplingMessage, TextContent
from pydantic import BaseModel

server = MCPServer("py-server", instructions="For tests.", version="1.0.0")


class Sum(BaseModel):
    total: int


class Colour(BaseModel):
    name: str


@server.tool()
def add(a: int, b: int) -> Sum:
    """Adds two numbers."""
    return Sum(total=a + b)


@server.tool()
async def count(steps: int, ctx: Context) -> str:
    """Counts, and tells how far it is."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    return f"counted to {steps}"


def colour() -> Elicit[Colour]:
    return Elicit("Which colour?", Colour)


@server.tool()
def paint(what: str, colour: Annotated[ElicitationResult[Colour], Resolve(colour)]) -> str:
    """Asks for a colour."""
    if isinstance(colour, AcceptedElicitation):
        return f"{what} is {colour.data.name}"
    return f"{what} stays as it is"


def thought() -> Sample:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="Think."))
    return Sample([message], max_tokens=10)


@server.tool()
def think(thought: Annotated[CreateMessageResult, Resolve(thought)]) -> str:
    """Has the client's model think."""
    return f"thought: {thought.content.text}"


def roots() -> ListRoots:
    return ListRoots()


@server.tool()
def where(roots: Annotated[ListRootsResult, Resolve(roots)]) -> str:
    """Asks for the client's roots."""
    return ", ".join(root.name or "" for root in roots.roots)


@server.tool()
async def linger(file: str) -> str:
    """Stays until it is cancelled; writes down that it began and that it was."""
    with open(file, "a", buffering=1) as log:
        log.write("began\n")
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            log.write("cancelled\n")
            raise
    return "stayed"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("as it should")


@server.resource("test://static", name="static")
def static() -> str:
    """Always the same."""
    return "contents"


@server.resource("test://item/{number}", name="item")
def item(number: int) -> str:
    """One of many."""
    return f"item {number}"


@server.prompt()
def greet(name: str) -> str:
    """Greets."""
    return f"Say hello to {name}."


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on {listener.getsockname()[1]}", file=sys.stderr, flush=True)
    app = server.streamable_http_app()
    await uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(sockets=[listener])


asyncio.run(main())
