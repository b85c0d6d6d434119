// A processor (processor_url): sends the picture with its size.
import http from "node:http";
import { buffer } from "node:stream/consumers";
import { validateSignature } from "@line/bot-sdk";

const secret = process.env.LINE_CHANNEL_SECRET;

const server = http.createServer(async (req, res) => {
  const body = await buffer(req);
  const signature = req.headers["x-darkroom-signature"] ?? "";
  if (!validateSignature(body, secret, signature)) {
    res.writeHead(401).end();
    return;
  }
  const { original, preview } = JSON.parse(body);
  const { width = "?", height = "?" } = original;
  const messages = [
    {
      type: "image",
      originalContentUrl: original.url,
      previewImageUrl: preview.url,
    },
    { type: "text", text: `${width} x ${height}` },
  ];
  res.setHeader("Content-Type", "application/json");
  res.end(JSON.stringify({ messages }));
});
server.listen(process.env.PORT ?? 3001, "127.0.0.1", () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}/`),
);
