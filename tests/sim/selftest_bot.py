#!/usr/bin/python3
"""A tiny LINE bot, good or bad by the last part of the webhook's path.

usage: selftest_bot.py CERT KEY PORT_FILE SIM_PORT_FILE SECRET TOKEN

It answers every image event with a picture of its own making. The content is
fetched first, as a bot would, and thrown away.
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import ssl
import struct
import sys
import threading
import time
import zlib

CERT, KEY, PORT_FILE, SIM_PORT_FILE, SECRET, TOKEN = sys.argv[1:7]


def chunk(name, data):
    crc = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def png(width, height, noise=False, interlaced=0):
    rows = b"".join(
        b"\0" + (os.urandom(width * 3) if noise else b"\x20\x60\xa0" * width)
        for _ in range(height))
    if interlaced:  # 1x1: the only pass is the first
        rows = b"\0\x20\x60\xa0"
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


GOOD = png(64, 48)
FILES = {
    "/good.png": ("image/png", GOOD),
    "/interlaced.png": ("image/png", png(1, 1, interlaced=1)),
    "/cut.png": ("image/png", GOOD[:-20]),
    "/tail.png": ("image/png", GOOD + b"more"),
    "/crc.png": ("image/png", GOOD.replace(b"IDAT", b"IDAT", 1)[:50] +
                 bytes([GOOD[50] ^ 1]) + GOOD[51:]),
    "/type.png": ("application/octet-stream", GOOD),
    "/text.png": ("image/png", b"no picture"),
    "/big.png": ("image/png", png(700, 500, noise=True)),
}


def call(method, path, body=None, headers=None):
    with open(SIM_PORT_FILE) as f:
        port = int(f.read())
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    send = {"Authorization": "Bearer " + TOKEN}
    if body is not None:
        send["Content-Type"] = "application/json"
        body = json.dumps(body)
    send.update(headers or {})
    try:
        conn.request(method, path, body, send)
        answer = conn.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        conn.close()


def image(original, preview=None):
    return {"type": "image", "originalContentUrl": original,
            "previewImageUrl": preview or original}


def fetch_content(message_id, tries=5):
    for _ in range(tries):
        status, _ = call("GET", f"/v2/bot/message/{message_id}/content")
        if status not in (202, 429, 500, 0):
            return status
        time.sleep(0.02)
    return 0


def answer(kind, event, base):
    token = event["replyToken"]
    good = image(base + "/good.png")
    headers = {}
    messages = [good]
    if fetch_content(event["message"]["id"]) != 200:
        messages = [{"type": "text", "text": "sorry"}]
    elif "/" + kind + ".png" in FILES:
        messages = [image(base + "/" + kind + ".png", base + "/good.png")]
        if kind == "big":
            messages = [image(base + "/good.png", base + "/big.png")]
    elif kind == "http":
        messages = [image(base.replace("https", "http") + "/good.png")]
    elif kind == "six":
        messages = [good] * 6
    elif kind == "missing":
        messages = [image(base + "/missing.png")]
    elif kind == "redirect":
        messages = [image(base + "/redirect")]
    elif kind == "outside":
        messages = [image("https://192.0.2.1/good.png")]
    elif kind == "nopreview":
        messages = [{"type": "image", "originalContentUrl": base + "/good.png"}]
    elif kind == "quote":
        messages = [dict(good, quoteToken="q")]
    elif kind == "retrykey":
        headers = {"X-Line-Retry-Key": "0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d10"}
    elif kind == "badauth":
        headers = {"Authorization": "Bearer wrong"}
    body = {"replyToken": token, "messages": messages}
    for _ in range(2 if kind in ("twice", "retry") else 1):
        call("POST", "/v2/bot/message/reply", body, headers)
    if kind == "alsopush":
        call("POST", "/v2/bot/message/push",
             {"to": event["source"]["userId"], "messages": messages})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet

    def log_message(self, *args):
        pass

    def send(self, status, kind="text/plain", data=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/redirect":
            self.send(302, Location="/good.png")
        elif self.path in FILES:
            self.send(200, *FILES[self.path])
        else:
            self.send(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.path.rsplit("/", 1)[-1]
        want = base64.b64encode(
            hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(want,
                                   self.headers.get("x-line-signature", "")):
            self.send(401)
            return
        if kind == "slow":
            time.sleep(2.5)
        redelivery = b'"isRedelivery":true' in body
        if kind == "down" or (kind == "flaky" and not redelivery):
            self.send(503)
            return
        self.send(200)
        if kind in ("ignore", "slow"):
            return
        base = f"https://127.0.0.1:{self.server.server_port}"
        for event in json.loads(body)["events"]:
            if event["type"] == "message" and "replyToken" in event:
                threading.Thread(target=answer, args=(kind, event, base),
                                 daemon=True).start()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
# The handshake is made by the connection's thread, at its first read.
server.socket = context.wrap_socket(server.socket, server_side=True,
                                    do_handshake_on_connect=False)
with open(PORT_FILE + ".tmp", "w") as out:
    out.write(f"{server.server_port}\n")
os.rename(PORT_FILE + ".tmp", PORT_FILE)
server.serve_forever()
