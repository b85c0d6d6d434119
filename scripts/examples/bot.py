#!/usr/bin/env python3
"""A bot behind darkroom (forward_url): says what it was sent. No library."""
import base64, hmac, json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["LINE_CHANNEL_SECRET"].encode()


class Bot(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        right = base64.b64encode(hmac.digest(SECRET, body, "sha256"))
        given = self.headers.get("X-Line-Signature", "").encode()
        if not hmac.compare_digest(given, right):
            self.send_error(401)
            return
        for event in json.loads(body)["events"]:
            print(event["type"], event.get("message", {}).get("text", ""),
                  flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


port = int(os.environ.get("PORT", 3000))
server = ThreadingHTTPServer(("127.0.0.1", port), Bot)
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
