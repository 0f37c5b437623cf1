// Reaches the host with node: net, fetch, dgram, a child that does it.
const fs = require("fs"), net = require("net"), dgram = require("dgram"), { spawn } = require("child_process");
console.log("BEGUN");
const facts = JSON.parse(fs.readFileSync(process.argv[2]));
const port = facts.forbidden_port, hits = [];
const settled = what => promise => promise.then(() => hits.push(what), () => {});
const connected = new Promise((yes, no) => net.connect(port, "127.0.0.1", yes).on("error", no));
const fetched = fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) });
const child = new Promise((yes, no) => spawn(process.execPath, ["-e", `require("net").connect(${port}, "::1").on("connect", () => process.exit(0)).on("error", () => process.exit(1))`])
  .on("error", no).on("exit", code => code ? no() : yes()));
dgram.createSocket("udp4").on("error", () => {}).send("exfil", facts.udp_port, "127.0.0.1", () => {});
const all = [settled("net")(connected), settled("fetch")(fetched), settled("child")(child)];
Promise.race([Promise.all(all), new Promise(resolve => setTimeout(resolve, 5000))]).then(() => {
  console.log(hits.length ? "ESCAPED " + hits.join("; ") : "CONTAINED");
  process.exit();
});
