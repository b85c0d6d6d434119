#!/usr/bin/env bash
#
# selftest: line-sim against a tiny bot that is good or bad on demand. Proves
# that rule violations are caught, that faults happen as asked, and that the
# simulator ends cleanly.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

sim=${BUILD:-build}/line-sim
dir=$(mktemp -d)
photo=$dir/photo.jpg
export SIM_PORT_FILE=$dir/sim.port
bot_pid=
sim_pid=

finish() {
    [ -z "$bot_pid" ] || kill "$bot_pid" 2>/dev/null
    [ -z "$sim_pid" ] || kill "$sim_pid" 2>/dev/null
    wait
    rm -rf "$dir"
}
trap finish EXIT

# until_file FILE: 10 s at most.
until_file() {
    for _ in {1..200}; do
        [ ! -e "$1" ] || return 0
        sleep 0.05
    done
    echo "Bail out! $1 does not come"
    cat "$dir"/*.out >&2
    exit 1
}

fails() {
    ! "$@"
}

ctl() {
    tests/sim/sim "$@"
}

# photo_to KIND [OPTION...]: one photo, answered; leaves the state in $state.
photo_to() {
    local kind=$1

    shift
    ctl reset >"$dir/out"
    ctl photo "$photo" --path "/webhook/$kind" "$@" >"$dir/out"
    state=$(ctl wait 1 10000)
}

# The same, when no answer is accepted: waits for the refusal.
photo_refused() {
    local kind=$1

    shift
    ctl reset >"$dir/out"
    ctl photo "$photo" --path "/webhook/$kind" "$@" >"$dir/out"
    state=$(curl -sS --noproxy '*' \
        "http://127.0.0.1:$port/sim/wait?replies_refused=1&timeout_ms=10000")
}

# raw METHOD PATH TOKEN [CURL OPTION...]: status and body of a LINE call.
raw() {
    local method=$1 path=$2 token=$3

    shift 3
    curl -sS --noproxy '*' -X "$method" -w ' %{http_code}' \
        -H "Authorization: Bearer $token" "$@" "http://127.0.0.1:$port$path"
}

post_json() {
    raw POST "$1" token -H 'Content-Type: application/json' -d "$2" "${@:3}"
}

head -c 200000 /dev/urandom >"$photo"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
/usr/bin/python3 tests/sim/selftest_bot.py "$dir/cert.pem" "$dir/key.pem" \
    "$dir/bot.port" "$SIM_PORT_FILE" secret token 2>"$dir/bot.out" &
bot_pid=$!
until_file "$dir/bot.port"
"$sim" --webhook-url "https://127.0.0.1:$(<"$dir/bot.port")/webhook/good" \
    --ca-file "$dir/cert.pem" --secret secret --access-token token \
    --port-file "$SIM_PORT_FILE" --log "$dir/log" 2>"$dir/sim.out" &
sim_pid=$!
until_file "$SIM_PORT_FILE"
port=$(<"$SIM_PORT_FILE")

# ---- options

ok '--help fits a screen' test "$("$sim" --help | wc -l)" -le 24
ok 'an address that is not loopback is refused' \
    fails "$sim" --listen 0.0.0.0:0 --webhook-url http://127.0.0.1/ \
    --secret s --access-token t

# ---- good bots

photo_to good
like 'a good bot: image ok' "$state" '"verdict":"ok"'
like '... with its dimensions' "$state" '"width_px":64,"height_px":48'
like '... and no violation' "$state" '"violations":\[\]'
photo_to interlaced
like 'an interlaced PNG is decoded' "$state" '"interlaced":true'
photo_to good --count 200 --parallel 50
state=$(ctl wait 200 60000)
like '200 webhooks, 50 at a time' "$state" '"replied_once":200,'
photo_to good --count 6 --batch 3 --set --source group
state=$(ctl wait 6 10000)
like 'events in batches, as a set' "$state" '"webhooks_sent":2,'

# ---- bad answers: refused

while read -r kind pattern; do
    photo_refused "$kind"
    like "refused: $kind" "$state" "$pattern"
done <<'END'
http "why":"messages\[0\].originalContentUrl: Must be a valid HTTPS URL"
six "why":"messages: Size must be between 1 and 5"
nopreview "why":"messages\[0\].previewImageUrl: May not be empty"
quote "why":"messages\[0\].quoteToken: Unknown property"
retrykey "kind":"reply_retry_key"
twice "why":"the reply token was used before"
END
like 'the first of two replies counts' "$state" '"replied_once":1,'

# ---- bad answers: taken, as LINE does, and found out

while read -r kind pattern; do
    photo_to "$kind"
    like "found out: $kind" "$state" "\"kind\":\"bad_image\".*$pattern"
done <<'END'
missing original: status 404
redirect original: status 302
outside original: could_not_connect
cut original: ends before IEND
tail original: bytes follow IEND
crc original: libpng
type original: Content-Type application/octet-stream
text original: not a PNG
big preview: larger than LINE's limit
END
photo_to alsopush
curl -sS --noproxy '*' -o "$dir/out" \
    "http://127.0.0.1:$port/sim/wait?pushes=1&timeout_ms=10000"
is 'a reply and a push are two answers' "$(ctl get replied_more_than_once)" 1

# ---- the token's minute

ctl reset >"$dir/out"
ctl photo "$photo" --path /webhook/ignore >"$dir/out"
[[ $(<"$dir/out") =~ \"message_id\":\"([0-9]+)\",\"reply_token\":\"([0-9a-f]+)\" ]]
id=${BASH_REMATCH[1]} token=${BASH_REMATCH[2]}
text='"messages":[{"type":"text","text":"x"}]'
ctl clock 60001 >"$dir/out"
is 'a reply after a minute' \
    "$(post_json /v2/bot/message/reply "{\"replyToken\":\"$token\",$text}")" \
    '{"message":"Invalid reply token"} 400'
like 'a redelivery' "$(ctl repeat "$id")" '"status":200'
like '... renews the minute' \
    "$(post_json /v2/bot/message/reply "{\"replyToken\":\"$token\",$text}")" \
    '"sentMessages".* 200$'
like '... but not a used token' "$(ctl repeat "$id")$(post_json \
    /v2/bot/message/reply "{\"replyToken\":\"$token\",$text}")" \
    'Invalid reply token'
is 'an unknown token' \
    "$(post_json /v2/bot/message/reply "{\"replyToken\":\"no\",$text}")" \
    '{"message":"Invalid reply token"} 400'

# ---- the other calls

like 'a wrong access token' "$(raw GET /v2/bot/info wrong)" \
    '"message":"Authentication failed.* 401$'
like 'bot info' "$(raw GET /v2/bot/info token)" '"userId":"U.* 200$'
is 'unknown content' "$(raw GET /v2/bot/message/1/content token)" \
    '{"message":"not found"} 404'
like 'not JSON' "$(post_json /v2/bot/message/reply '{')" \
    'could not be parsed as JSON.* 400$'
like 'not application/json' \
    "$(raw POST /v2/bot/message/reply token -d '{}')" ' 415$'
head -c 2200000 /dev/zero | tr '\0' ' ' >"$dir/large"
like 'more than 2 MB' "$(post_json /v2/bot/message/reply @"$dir/large")" ' 413$'
user=U0123456789abcdef0123456789abcdef
key='X-Line-Retry-Key: 0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d10'
first=$(post_json /v2/bot/message/push "{\"to\":\"$user\",$text}" -H "$key")
like 'a push' "$first" '"sentMessages":.* 200$'
again=$(post_json /v2/bot/message/push "{\"to\":\"$user\",$text}" -H "$key" -i)
like 'the same push again' "$again" ' 409$'
like '... names the accepted request' "${again,,}" 'x-line-accepted-request-id:'
[[ $first =~ \"id\":\"[0-9]+\" ]]
like '... and the same messages' "$again" "${BASH_REMATCH[0]}"
like 'a retry key that is no UUID' "$(post_json /v2/bot/message/push \
    "{\"to\":\"$user\",$text}" -H 'X-Line-Retry-Key: 1')" ' 400$'
is 'loading' "$(post_json /v2/bot/chat/loading/start \
    "{\"chatId\":\"$user\",\"loadingSeconds\":20}")" '{} 202'
like 'loading in a group' "$(post_json /v2/bot/chat/loading/start \
    "{\"chatId\":\"C${user#U}\"}")" ' 400$'
form='grant_type=client_credentials&client_id=1&client_secret='
issued=$(curl -sS --noproxy '*' -d "${form}secret" \
    "http://127.0.0.1:$port/oauth2/v3/token")
like 'a stateless token' "$issued" '"expires_in":900'
issued=${issued#*access_token\":\"}
issued=${issued%%\"*}
like '... is good' "$(raw GET /v2/bot/info "$issued")" ' 200$'
ctl clock 900001 >"$dir/out"
like '... for 15 minutes' "$(raw GET /v2/bot/info "$issued")" ' 401$'
like 'a wrong secret' "$(curl -sS --noproxy '*' -d "${form}x" \
    "http://127.0.0.1:$port/oauth2/v3/token")" '"error":"invalid_client"'
ctl behaviour '{"push_quota":0}' >"$dir/out"
like 'push over the quota' \
    "$(post_json /v2/bot/message/push "{\"to\":\"$user\",$text}")" \
    'monthly limit.* 429$'

ctl reset >"$dir/out"
like 'the quota' "$(raw GET /v2/bot/message/quota token)" '"type":"none".* 200$'
ctl photo "$photo" --path /webhook/ignore --user "$user" \
    --push-fault status:1 >"$dir/out"
[[ $(<"$dir/out") =~ \"message_id\":\"([0-9]+)\" ]]
id=${BASH_REMATCH[1]}
like 'a push to a user with a fault' \
    "$(post_json /v2/bot/message/push "{\"to\":\"$user\",$text}")" ' 500$'
like '... once' \
    "$(post_json /v2/bot/message/push "{\"to\":\"$user\",$text}")" ' 200$'
is 'mark as read' "$(post_json /v2/bot/chat/markAsRead \
    "{\"markAsReadToken\":\"mT_$id\"}")" '{} 200'
like '... with a token of others' "$(post_json /v2/bot/chat/markAsRead \
    '{"markAsReadToken":"mT_1"}')" ' 400$'
like 'a user of ours' "$(raw GET "/v2/bot/profile/$user" token)" ' 200$'
like 'a user who is none' "$(raw GET /v2/bot/profile/U1 token)" ' 404$'
endpoint=/v2/bot/channel/webhook/endpoint
like 'the endpoint' "$(raw GET $endpoint token)" \
    "\"endpoint\":\"https://127.0.0.1.*\"active\":true.* 200$"
like 'its test' "$(post_json /v2/bot/channel/webhook/test '{}')" \
    '"success":true.*"statusCode":200,"reason":"OK"'
like '... of another that is not there' \
    "$(post_json /v2/bot/channel/webhook/test \
        '{"endpoint":"https://127.0.0.1:1/"}')" \
    '"success":false.*"reason":"COULD_NOT_CONNECT".* 200$'
like 'an endpoint without TLS' "$(raw PUT $endpoint token \
    -H 'Content-Type: application/json' -d '{"endpoint":"http://a/"}')" ' 400$'
is 'a new endpoint' "$(raw PUT $endpoint token \
    -H 'Content-Type: application/json' \
    -d '{"endpoint":"https://bot.example/webhook"}')" '{} 200'
like '... is shown' "$(raw GET $endpoint token)" 'https://bot.example/webhook'
ctl behaviour '{"rate_limit_s":1}' >"$dir/out"
like 'the second call in a second' \
    "$(raw GET /v2/bot/info token; raw GET /v2/bot/info token)" ' 200.* 429$'
ctl reset >"$dir/out"
ctl behaviour '{"access_token":"newer"}' >"$dir/out"
like 'an access token that was replaced' "$(raw GET /v2/bot/info token)" ' 401$'
ctl behaviour '{"access_token":"token"}' >"$dir/out"

# ---- sets

ctl photo "$photo" "$photo" "$photo" --set --path /webhook/ignore >"$dir/out"
[[ $(<"$dir/out") =~ \"reply_token\":\"([0-9a-f]+)\" ]]
image='{"type":"image","originalContentUrl":"https://127.0.0.1:1/",'
image+='"previewImageUrl":"https://127.0.0.1:1/"}'
post_json /v2/bot/message/reply "{\"replyToken\":\"${BASH_REMATCH[1]}\",
    \"messages\":[$image,$image]}" >"$dir/out"
like 'two images answer two photos of a set' "$(ctl wait 2 10000)" \
    '"replied_once":2,"replied_more_than_once":0,"pending":1'
ctl reset >"$dir/out"
ctl photo "$photo" --no-send >"$dir/out"
is 'a photo that is not sent' "$(ctl get webhooks_sent)" 0

# ---- content that misbehaves

photo_to good --status 202:2
like '202 twice, then 200' "$state" '"content_requests":3,"bytes_served":200000'
photo_to good --status 404
like '404: the bot says sorry' "$state" '"texts":1,"verdict":"text"'
photo_to good --cut 1000:1 --framing chunked
like 'cut once, then whole' "$state" '"bytes_served":201000'
ctl photo "$photo" --path /webhook/ignore --short 5 >"$dir/out"
[[ $(<"$dir/out") =~ \"message_id\":\"([0-9]+)\" ]]
content=/v2/bot/message/${BASH_REMATCH[1]}/content
like 'a body shorter than its length' "$(raw GET "$content" token \
    -o "$dir/got" -D - 2>&1)" 'Content-Length: 200005'
is '... all of which came' "$(wc -c <"$dir/got")" 200000
ctl photo "$photo" --path /webhook/ignore --framing close >"$dir/out"
[[ $(<"$dir/out") =~ \"message_id\":\"([0-9]+)\" ]]
content=/v2/bot/message/${BASH_REMATCH[1]}/content
raw GET "$content" token -o "$dir/got" -D "$dir/head" >"$dir/out"
ok 'no length and no chunks' \
    fails grep -qiE 'content-length|transfer-encoding' "$dir/head"
ok '... and the same bytes' cmp "$dir/got" "$photo"
ctl photo "$photo" --path /webhook/ignore --stall 100 >"$dir/out"
[[ $(<"$dir/out") =~ \"message_id\":\"([0-9]+)\" ]]
id=${BASH_REMATCH[1]}
raw GET "/v2/bot/message/$id/content" token -m 1 -o "$dir/got" \
    >"$dir/out" 2>&1
is 'a stall' "$(wc -c <"$dir/got")" 100
ctl unsend "$id" >"$dir/out"
like 'gone after unsend' "$(raw GET "/v2/bot/message/$id/content" token)" ' 410$'

# ---- replies that misbehave

photo_to retry --reply-fault status:1
like '500 without effect: the second try is taken' "$state" \
    '"replies":1,"replies_refused":0'
photo_refused retry --reply-fault status:1 --reply-effect
like '500 with effect: the second try is refused' "$state" \
    '"replies":1,"replies_refused":1'
photo_refused retry --reply-fault close:1 --reply-effect
like 'closed without an answer, with effect' "$state" \
    '"replies":1,"replies_refused":1'

# ---- webhooks

ctl reset >"$dir/out"
like 'a wrong signature' "$(ctl events '[]' wrong)" '"status":401'
like 'no signature' "$(ctl events '[]' none)" '"status":401'
like 'an empty call' "$(ctl events '[]')" '"status":200'
like 'any body' "$(ctl webhook "{\"destination\":\"$user\",\"events\":[]}")" \
    '"status":200'
ctl photo "$photo" --path /webhook/flaky --redeliver >"$dir/out"
like 'a redelivery after an error' "$(ctl wait 1 10000)" '"deliveries":2'
ctl photo "$photo" --path /webhook/slow >"$dir/out"
like 'an ack after 2 s' "$(ctl state)" \
    '"ack_error":"request_timeout".*"kind":"ack_timeout"'
like 'a bad request to the simulator is told' \
    "$(ctl behaviour '{"rate":1}')" '"error":"unknown member \\"rate\\""'

# ---- the end

ok 'the log is there' grep -q '"kind":"reply"' "$dir/log"
ok '... without the access token' fails grep -qi bearer "$dir/log"
ctl photo "$photo" --path /webhook/good --stall 0 --count 5 >"$dir/out"
kill "$sim_pid"
wait "$sim_pid"
is 'SIGTERM ends it, in the middle of things' $? 0
sim_pid=
done_testing
