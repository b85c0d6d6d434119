#!/usr/bin/env bash
#
# One photo, and the webhooks that are not one: through nginx, TLS and the
# pool, with the simulator as the platform.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start
smoke_photo

# ---- a photo

sent=$(send_photo "$photo")
is "the webhook is answered with 200" \
    "$(jq .photos[0].ack_status <<<"$sent")" 200
wait_replied 1
state_is "one reply" .totals.replies 1
state_is "its pictures are there, of the right size, and decode" \
    .totals.images_good 1
state_is "the original is as large as the photo" \
    '.photos[0].images[0].original | [.width_px, .height_px]' '[1224,918]'
state_is "nothing but pixels is in it" \
    '.photos[0].images[0].original.extra_chunks' '""'
state_is "nor in the preview" '.photos[0].images[0].preview.extra_chunks' '""'
state_is "the content was fetched once" .totals.content_requests 1
state_is_lawful

message=$(jq -r .photos[0].message_id <<<"$sent")
for event in accepted claimed fetching transcoding fetched published replied; do
    is "the log tells: $event" "$(log_count " event=$event job=$message ")" 1
done
ok "the log keeps the secrets to itself" \
    sh -c "! grep -qF -e $stack_secret -e $stack_token '$stack_dir/pool.log'"

url=$(jq -r '.photos[0].images[0].original.url' <<<"$state")
ok "the URL cannot be guessed" [ "${url/$message/}" = "$url" ]
stack_curl "${url#"$stack_url"}" -o "$stack_dir/original.png"
ok "another decoder takes the original" pngfix --quiet "$stack_dir/original.png"
url=$(jq -r '.photos[0].images[0].preview.url' <<<"$state")
stack_curl "${url#"$stack_url"}" -o "$stack_dir/preview.png"
ok "and the preview" pngfix --quiet "$stack_dir/preview.png"
is "no temporary file is left" \
    "$(find "$stack_dir/state/public/.incoming" -type f)" ""

# ---- the same again

answer=$(sim_post repeat "{\"message_id\":\"$message\",\"redelivery\":true}")
is "the same event again: 200" "$(jq .status <<<"$answer")" 200
answer=$(sim_post repeat "{\"message_id\":\"$message\",\"redelivery\":false}")
is "and once more" "$(jq .status <<<"$answer")" 200

# ---- not a photo

status_of() {
    jq -c .status <<<"$1"
}

is "no events (the console's Verify): 200" \
    "$(status_of "$(sim_post webhook '{"events":[]}')")" 200
text='[{"type":"message","mode":"active","timestamp":1790000000123,
    "source":{"type":"user","userId":"Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    "webhookEventId":"01K2A0000000000000000000T1",
    "deliveryContext":{"isRedelivery":false},"replyToken":"t1t1t1t1t1t1t1t1",
    "message":{"type":"text","id":"600000000000000777","text":"hello"}}]'
is "a text message: 200" \
    "$(status_of "$(sim_post webhook "{\"events\":$text}")")" 200
image=${text/'"type":"text"'/'"type":"image"'}
image=${image/'"text":"hello"'/'"contentProvider":{"type":"line"}'}
for signature in wrong none; do
    is "a signature that is $signature: 401" "$(status_of "$(sim_post webhook \
        "{\"events\":$image,\"signature\":\"$signature\"}")")" 401
done
is "and the log says why" "$(log_count 'event=refused .*signature')" 2
is "a body that is no JSON: 400" \
    "$(status_of "$(sim_post webhook '{"body":"{\"events\":"}')")" 400

# ---- requests that are none

status() {
    stack_curl "$@" -o "$stack_dir/answer" -w '%{http_code}'
}
json=(-H "Content-Type: application/json" --data-binary)

is "GET: 405" "$(status /webhook)" 405
is "PUT: 405" "$(status /webhook -X PUT "${json[@]}" x)" 405
is "an unknown channel: 404" "$(status /webhook/nobody "${json[@]}" x)" 404
is "and the log names it" \
    "$(log_count ' event=refused channel=nobody .*no such channel')" 1
is "text/plain: 415" \
    "$(status /webhook -H "Content-Type: text/plain" --data-binary x)" 415
head -c 1048577 /dev/zero >"$stack_dir/large"
is "beyond 1 MiB: 413" "$(status /webhook "${json[@]}" "@$stack_dir/large")" 413
body='{"destination":"U0123456789abcdef0123456789abcdef","events":[]}'
signature=$(printf %s "$body" | signature_of $stack_secret)
is "a chunked body: 200" "$(status /webhook "${json[@]}" "$body" \
    -H "Transfer-Encoding: chunked" -H "X-Line-Signature: $signature")" 200
is "/healthz" "$(stack_curl /healthz)" ok

# ---- of all that, one photo was taken

is "one event was stored" "$(log_count ' event=claimed ')" 1
wait_replied 1
state_is "one reply was sent" .totals.replies 1
state_is "and none refused" .totals.replies_refused 0
is "no error in the log" "$(log_count ' level=error ')" 0

ok "the pool ends when told to" stack_end pool
done_testing
