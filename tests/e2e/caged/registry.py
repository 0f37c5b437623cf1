"""An npm registry on loopback with packages of one file, for tests. Says on standard error on which port it listens."""

import base64
import hashlib
import http.server
import io
import json
import sys
import tarfile

# A server with one tool, `run`, which evaluates the code that it is given.
SERVER = """#!/usr/bin/env node
require('readline').createInterface({input: process.stdin}).on('line', line => {
  const {id, method, params} = JSON.parse(line)
  const say = result => console.log(JSON.stringify({jsonrpc: '2.0', id, result}))
  if (method === 'initialize')
    say({protocolVersion: params.protocolVersion, capabilities: {tools: {}}, serverInfo: {name: 'p', version: '1'}})
  else if (method === 'tools/list') say({tools: [{name: 'run', inputSchema: {type: 'object'}}]})
  else if (method === 'tools/call') {
    let text
    try { text = String(eval(params.arguments.code)) } catch (error) { text = String(error.code || error) }
    say({content: [{type: 'text', text}]})
  }
})
"""
# Install scripts: what each tries is not granted; it fails unless that is prevented.
READS = "!(cat /etc/shadow || (cd /root && ls .ssh) || ls /home/* | grep -v mcp) 2>/dev/null"
WRITES = "!(touch /usr/x || touch /etc/x) 2>/dev/null"
CALLS = "node -e \"require('net').connect(443, 'evil.example.com').on('error', e => { console.error(e.code); process.exit(3) })\""
LEAVES = "echo made-by-script > made; (setsid sleep 600 >/dev/null 2>&1 &)"
PACKAGES = {
    "plain": {},
    "scripted": {"postinstall": f"{READS} && {WRITES} && {LEAVES}"},
    "calls-home": {"postinstall": CALLS},
}


def packed(name):
    about = {"name": name, "version": "1.0.0", "bin": "server.js", "scripts": PACKAGES[name]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text, mode in [("package.json", json.dumps(about), 0o644), ("server.js", SERVER, 0o755)]:
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size, entry.mode = len(text.encode()), mode
            tar.addfile(entry, io.BytesIO(text.encode()))
    return about, out.getvalue()


ALL = {name: packed(name) for name in PACKAGES}


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/").removesuffix(".tgz")
        if name not in ALL:
            self.send_error(404)
            return
        about, archive = ALL[name]
        body = archive
        if not self.path.endswith(".tgz"):
            digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
            place = f"http://{self.headers['Host']}/{name}.tgz"
            version = {**about, "dist": {"tarball": place, "integrity": f"sha512-{digest}"}}
            body = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print(f"listening on {server.server_port}", file=sys.stderr, flush=True)
server.serve_forever()
