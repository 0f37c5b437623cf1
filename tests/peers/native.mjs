// A server whose work is done by a native module: `shrink` makes a picture smaller, `make` makes one.
import { createInterface } from "node:readline";
import sharp from "sharp";

const work = {
  make: ({ to, width }) =>
    sharp({ create: { width, height: width, channels: 3, background: "teal" } }).png().toFile(to),
  shrink: ({ from, to, width }) => sharp(from).resize(width).webp().toFile(to),
};

function say(id, member) {
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...member }));
}

async function call(id, { name, arguments: given }) {
  const content = [];
  let isError = false;
  try {
    const { format, width, height } = await work[name](given);
    content.push({ type: "text", text: `${format} ${width}x${height}` });
  } catch (error) {
    isError = true;
    content.push({ type: "text", text: String(error) });
  }
  say(id, { result: { content, isError } });
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") {
    const serverInfo = { name: "native", version: "1" };
    say(id, { result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo } });
  } else if (method === "tools/list") {
    const tools = Object.keys(work).map((name) => ({ name, inputSchema: { type: "object" } }));
    say(id, { result: { tools } });
  } else if (method === "tools/call") {
    call(id, params);
  } else if (id !== undefined) {
    say(id, { error: { code: -32601, message: "Method not found" } });
  }
});
