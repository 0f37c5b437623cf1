// Reads a key with node: by itself, in a worker, and through a program that it starts.
const fs = require("fs"), { execFile } = require("child_process"), { Worker } = require("worker_threads");
console.log("BEGUN");
const facts = JSON.parse(fs.readFileSync(process.argv[2]));
const canary = [...facts.canary].reverse().join(""), path = facts.secrets[0], hits = [];
const look = (what, text) => String(text).includes(canary) && hits.push(what);
try { look("fs", fs.readFileSync(path)); } catch {}
try { look("env", JSON.stringify(process.env)); } catch {}
const worker = new Worker(`const fs = require("fs"); let text = ""; try { text = fs.readFileSync(${JSON.stringify(path)}, "utf8") } catch {}
  require("worker_threads").parentPort.postMessage(text)`, { eval: true });
worker.on("message", text => {
  look("worker", text);
  execFile("cat", [path], (error, out) => {
    look("cat", out);
    console.log(hits.length ? "ESCAPED " + hits.join("; ") : "CONTAINED");
    process.exit();
  });
});
