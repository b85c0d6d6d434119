// A bot behind darkroom (forward_url), made with LINE's own SDK: what it does
// with a webhook that comes from LINE, it does with one that comes from here.
import http from "node:http";
import { middleware } from "@line/bot-sdk";

const check = middleware({ channelSecret: process.env.LINE_CHANNEL_SECRET });

const server = http.createServer((req, res) => {
  check(req, res, (error) => {
    if (error) {
      res.writeHead(401).end();
      return;
    }
    for (const event of req.body.events)
      console.log(event.type, event.message?.text ?? "");
    res.end();
  });
});
server.listen(process.env.PORT ?? 3000, "127.0.0.1", () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}/`),
);
