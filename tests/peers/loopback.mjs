// Runs a program whose HTTP server would listen on all interfaces, on loopback and a free port instead, and says which:
// `node loopback.mjs PROGRAM ARGUMENTS…`.

import net from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

// A handle that is bound already: the address is then known at once, as it is without a host, and some rely on that.
const { TCP, constants } = process.binding("tcp_wrap");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...given) {
  const ready = given.findLast((argument) => typeof argument === "function");
  const handle = new TCP(constants.SERVER);
  const code = handle.bind("127.0.0.1", 0);
  if (code !== 0) throw new Error(`no port on loopback: ${code}`);
  this.once("listening", () => process.stderr.write(`listening on ${this.address().port}\n`));
  return listen.call(this, handle, ready);
};

process.argv.splice(1, 1);
await import(pathToFileURL(resolve(process.argv[1])));
