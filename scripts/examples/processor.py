#!/usr/bin/env python3
"""A processor (processor_url): sends the picture with its size. No library."""
import base64, hmac, json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["LINE_CHANNEL_SECRET"].encode()


class Processor(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        right = base64.b64encode(hmac.digest(SECRET, body, "sha256"))
        given = self.headers.get("X-Darkroom-Signature", "").encode()
        if not hmac.compare_digest(given, right):
            self.send_error(401)
            return
        picture = json.loads(body)
        original = {"width": "?", "height": "?", **picture["original"]}
        answer = json.dumps({"messages": [
            {"type": "image", "originalContentUrl": original["url"],
             "previewImageUrl": picture["preview"]["url"]},
            {"type": "text",
             "text": "{width} x {height}".format(**original)},
        ]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


port = int(os.environ.get("PORT", 3001))
server = ThreadingHTTPServer(("127.0.0.1", port), Processor)
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
