# With --loopback: a server and its client, both in the cage.
# range: grants=loopback
import http.server
import threading
import urllib.request

from common import done, works


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from within")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
works(opener.open(f"http://127.0.0.1:{server.server_port}/", timeout=5).read() == b"from within", "its own server")
done()
