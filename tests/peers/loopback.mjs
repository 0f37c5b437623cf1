// Runs a program whose HTTP server would listen on all interfaces, on loopback and a free port instead, and says which:
// `node loopback.mjs PROGRAM ARGUMENTS…`.

import net from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...given) {
  const ready = given.findLast((argument) => typeof argument === "function");
  this.once("listening", () => process.stderr.write(`listening on ${this.address().port}\n`));
  return listen.call(this, { port: 0, host: "127.0.0.1" }, ready);
};

process.argv.splice(1, 1);
await import(pathToFileURL(resolve(process.argv[1])));
