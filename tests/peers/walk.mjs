// Walks through everything an MCP server offers with an official TypeScript SDK and prints what it saw as JSON.
// Arguments: `v1` (@modelcontextprotocol/sdk) or `v2` (@modelcontextprotocol/client), then the walk as JSON; see walk.py.

const [generation, text] = process.argv.slice(2);
const task = JSON.parse(text);

const answers = {
  sampling: { role: "assistant", content: { type: "text", text: "sampled" }, model: "none", stopReason: "endTurn" },
  elicitation: { action: "decline" },
  roots: { roots: [{ uri: task.root, name: "walk" }] },
};
const identity = { name: "walk", version: "1.0.0" };
const capabilities = { sampling: {}, elicitation: {}, roots: {} };
const headers = task.token ? { Authorization: `Bearer ${task.token}` } : {};

async function first() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
  const types = await import("@modelcontextprotocol/sdk/types.js");
  const client = new Client(identity, { capabilities });
  client.setRequestHandler(types.CreateMessageRequestSchema, async () => answers.sampling);
  client.setRequestHandler(types.ElicitRequestSchema, async () => answers.elicitation);
  client.setRequestHandler(types.ListRootsRequestSchema, async () => answers.roots);
  await client.connect(transport(StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport));
  return [client, "legacy"];
}

async function second() {
  const { Client, StreamableHTTPClientTransport, SSEClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const mode = { modern: { pin: "2026-07-28" } }[task.era] ?? task.era;
  const client = new Client(identity, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler("sampling/createMessage", async () => answers.sampling);
  client.setRequestHandler("elicitation/create", async () => answers.elicitation);
  client.setRequestHandler("roots/list", async () => answers.roots);
  await client.connect(transport(StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport));
  return [client, client.getNegotiatedProtocolVersion?.()];
}

function transport(Stdio, Http, Sse) {
  if (task.transport === "sse") return new Sse(new URL(task.url));
  if (task.url) return new Http(new URL(task.url), { requestInit: { headers } });
  const [command, ...args] = task.command;
  return new Stdio({ command, args, env: { ...process.env, ...task.environment }, stderr: "inherit" });
}

async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    return { error: error.code, message: error.message };
  }
}

async function pages(method, member) {
  const found = [];
  let cursor;
  try {
    do {
      const page = await method(cursor === undefined ? {} : { cursor });
      found.push(...page[member]);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return found;
  } catch (error) {
    return { error: error.code, message: error.message };
  }
}

async function each(list, method) {
  const found = [];
  for (const item of list) found.push(await attempt(method(item)));
  return found;
}

const [client, version] = await (generation === "v1" ? first() : second());
const seen = {
  version,
  tools: await pages((p) => client.listTools(p), "tools"),
  prompts: await pages((p) => client.listPrompts(p), "prompts"),
  resources: await pages((p) => client.listResources(p), "resources"),
  templates: await pages((p) => client.listResourceTemplates(p), "resourceTemplates"),
};
seen.calls = await each(task.calls, (c) => client.callTool({ name: c.tool, arguments: c.arguments }));
seen.gets = await each(task.prompts, (p) => client.getPrompt({ name: p.name, arguments: p.arguments }));
seen.reads = await each(task.reads, (uri) => client.readResource({ uri }));
if (task.read_all && Array.isArray(seen.resources)) {
  seen.all = await each(seen.resources, (r) => client.readResource({ uri: r.uri }));
}
await client.close();
// The last line: the SDK itself writes to standard output as well.
await new Promise((done) => process.stdout.write(`\n${JSON.stringify(seen)}\n`, done));
process.exit(0);
