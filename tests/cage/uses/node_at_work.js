// Node as servers use it: worker threads, children, pipes, timers, watching files, crypto, wasm, much garbage.
const fs = require("fs"), os = require("os"), path = require("path"), crypto = require("crypto");
const { Worker } = require("worker_threads"), { execFileSync, fork } = require("child_process");
if (process.argv[3] !== "child") console.log("BEGUN");
const facts = JSON.parse(fs.readFileSync(process.argv[2])), assert = require("assert");
if (process.argv[3] === "child") { process.send("hello"); process.exit(0); }
const limit = setTimeout(() => { console.log("BROKEN timed out"); process.exit(1); }, 12000);
process.on("uncaughtException", error => { console.log("BROKEN " + error.stack.split("\n").slice(0, 3).join(" ")); process.exit(1); });
(async () => {
  assert(os.cpus().length > 0, "processors");
  assert.equal(execFileSync("/bin/echo", ["hi"]).toString(), "hi\n");
  await new Promise(resolve => fork(__filename, [process.argv[2], "child"], { stdio: "ignore" }).on("message", resolve));
  const answer = await new Promise((yes, no) => new Worker(`require("worker_threads").parentPort.postMessage(6 * 7)`, { eval: true }).on("message", yes).on("error", no));
  assert.equal(answer, 42);
  const wasm = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11);
  assert.equal((await WebAssembly.instantiate(wasm)).instance.exports.f(), 42);
  const changed = new Promise(resolve => { const watcher = fs.watch(facts.project, (_, name) => { if (name === "watched.txt") { watcher.close(); resolve(); } }); });
  setTimeout(() => fs.writeFileSync(path.join(facts.project, "watched.txt"), "x"), 50);
  await changed;
  assert.equal(crypto.createHash("sha256").update("").digest("hex").slice(0, 8), "e3b0c442");
  await fs.promises.writeFile(path.join(fs.mkdtempSync(path.join(os.tmpdir(), "t")), "t"), Buffer.alloc(1 << 20));
  for (let round = 0; round < 20; round++) Buffer.alloc(10 << 20).fill(1);
  console.log("SEE watched.txt x");
  console.log("WORKS");
  clearTimeout(limit);
  process.exit(0);
})();
