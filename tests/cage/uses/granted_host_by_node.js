// The granted host with node: fetch, http with keep-alive, and a name that is not granted fails at once.
// range: plain=not-run
// Without a cage the name does not exist.
const fs = require("fs"), http = require("http"), assert = require("assert");
console.log("BEGUN");
const facts = JSON.parse(fs.readFileSync(process.argv[2])), base = `http://${facts.granted_name}:${facts.granted_port}`;
process.on("unhandledRejection", error => { console.log("BROKEN", error.message, String(error.cause || "")); process.exit(1); });
(async () => {
  assert.equal(await (await fetch(base + "/")).text(), "GRANTED");
  assert.equal(await (await fetch(base + "/echo", { method: "POST", body: "body" })).text(), "body");
  const agent = new http.Agent({ keepAlive: true });
  for (let round = 0; round < 3; round++)
    await new Promise((yes, no) => http.get(base + "/", { agent }, answer => answer.resume().on("end", yes)).on("error", no));
  const started = Date.now();
  await assert.rejects(fetch("http://not-granted.test/"));
  assert(Date.now() - started < 3000, "a name that is not granted fails at once");
  console.log("WORKS");
  process.exit(0);
})();
