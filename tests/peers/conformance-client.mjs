// A client for the official conformance suite's client mode, on the official TypeScript SDK. The suite names the
// scenario, the protocol version and what to call in MCP_CONFORMANCE_*; the last argument is the server's URL.
// MANTLET_TOKEN goes along as bearer token; MANTLET_DRIVER_ERA (`legacy`, `modern`) makes this client speak another era
// than the suite's server.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const url = new URL(process.argv.at(-1));
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const modern = "2026-07-28";
const suites = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION >= modern ? "modern" : "legacy";
const era = process.env.MANTLET_DRIVER_ERA ?? suites;
const mode = era === "modern" ? { pin: modern } : era;
const headers = process.env.MANTLET_TOKEN ? { Authorization: `Bearer ${process.env.MANTLET_TOKEN}` } : {};

async function connected(capabilities = {}) {
  const client = new Client({ name: "conformance-client", version: "1.0.0" }, { capabilities, versionNegotiation: { mode } });
  if (capabilities.elicitation) {
    const answer = scenario.startsWith("sep-2322") ? { confirmed: true } : {};
    client.setRequestHandler("elicitation/create", async () => ({ action: "accept", content: answer }));
  }
  if (capabilities.sampling) {
    const content = { type: "text", text: "sampled" };
    client.setRequestHandler("sampling/createMessage", async () => ({ role: "assistant", content, model: "none" }));
  }
  if (capabilities.roots) client.setRequestHandler("roots/list", async () => ({ roots: [] }));
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  return client;
}

/** A request without the SDK, which refuses a result that has no `resultType`; it is to be taken as complete. */
async function bare(method, params) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": modern,
    "io.modelcontextprotocol/clientInfo": { name: "conformance-client", version: "1.0.0" },
    "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
  };
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      ...headers,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": modern,
      "Mcp-Method": method,
      "Mcp-Name": params.name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: "bare", method, params: { ...params, _meta: meta } }),
  });
  const text = await answer.text();
  const data = text.startsWith("{") ? text : text.split("\n").findLast((line) => line.startsWith("data:")).slice(5);
  const { result } = JSON.parse(data);
  if (!Array.isArray(result?.content)) throw new Error(`${method} was not answered: ${answer.status} ${text}`);
}

/** Something for every required argument of a tool. */
function filled(schema) {
  const samples = { string: "text", number: 1, integer: 1, boolean: true, array: [], object: {}, null: null };
  return Object.fromEntries((schema.required ?? []).map((name) => [name, samples[schema.properties[name].type]]));
}

const scenarios = {
  async initialize() {
    const client = await connected();
    await client.listTools();
    return client;
  },

  async tools_call() {
    const client = await connected();
    await client.listTools();
    await client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } });
    return client;
  },

  async "elicitation-sep1034-client-defaults"() {
    const client = await connected({ elicitation: { form: { applyDefaults: true } } });
    await client.listTools();
    await client.callTool({ name: "test_client_elicitation_defaults", arguments: {} });
    return client;
  },

  async "sse-retry"() {
    const client = await connected();
    await client.listTools();
    await client.callTool({ name: "test_reconnection", arguments: {} });
    return client;
  },

  async "request-metadata"() {
    const client = await connected({ elicitation: {}, sampling: {}, roots: {} });
    await client.listTools();
    return client;
  },

  async "sep-2322-client-request-state"() {
    const client = await connected({ elicitation: {} });
    await client.listTools();
    const call = (name) => client.callTool({ name: `test_mrtr_${name}`, arguments: {} });
    await Promise.all([call("echo_state"), call("unrelated")]);
    await call("no_state");
    const last = { name: "test_mrtr_no_result_type", arguments: {} };
    await (era === "modern" ? bare("tools/call", last) : client.callTool(last));
    return client;
  },

  async "http-standard-headers"() {
    const client = await connected();
    const { tools } = await client.listTools();
    for (const { name } of tools) await client.callTool({ name, arguments: {} });
    const { resources } = await client.listResources();
    for (const { uri } of resources) await client.readResource({ uri });
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) await client.getPrompt({ name });
    return client;
  },

  async "http-custom-headers"() {
    const client = await connected();
    await client.listTools();
    for (const call of context.toolCalls) await client.callTool(call);
    return client;
  },

  async "http-invalid-tool-headers"() {
    const client = await connected();
    const { tools } = await client.listTools();
    for (const { name, inputSchema } of tools) await client.callTool({ name, arguments: filled(inputSchema) });
    return client;
  },

  async "json-schema-ref-no-deref"() {
    const client = await connected();
    await client.listTools();
    return client;
  },

  async "json-schema-2020-12-preservation"() {
    const client = await connected();
    const { tools } = await client.listTools();
    const focal = tools.find(({ name }) => name === "json_schema_2020_12_tool");
    await client.callTool({ name: "json_schema_echo", arguments: { schema: focal.inputSchema } });
    return client;
  },
};

// Sooner than the suite's own patience, so that whatever runs this can still clean up.
setTimeout(() => {
  console.error(`scenario ${scenario} did not come to its end`);
  process.exit(1);
}, 20_000).unref();
const run = scenarios[scenario];
if (!run) throw new Error(`there is no way through scenario ${scenario}`);
const client = await run();
await client.close();
process.exit(0);
