#!/usr/bin/env bash
#
# What darkroom sends to LINE, and what the simulator sends to darkroom, held
# against LINE's own schema: by a validator of JSON Schema, and by prism, which
# plays the API from LINE's files and is sent all of it again.

. "$(dirname "$0")/../lib/smoke.sh"
. "$(dirname "$0")/../lib/npm.sh"
set -u

spec=$smoke_top/tests/data/line-openapi
check=$smoke_top/tests/tool/openapi_check.py

# told_of LOG PATTERN: the log is refused, for a reason that matches.
told_of() {
    said=$("$check" "$spec" "$1") && return 1
    grep -qE "$2" <<<"$said"
}

# prism: sets prism_url.
prism_listens() {
    grep -q 'Prism is listening on' "$stack_dir/prism.log"
}
prism() {
    local port

    for _ in {1..10}; do
        port=$((20000 + RANDOM % 12000))
        : >"$stack_dir/prism.log"
        stack_spawn prism node "$npm_modules/.bin/prism" mock --errors \
            --host 127.0.0.1 --port $port "$spec/messaging-api.yml"
        stack_until 60 prism_listens && break
        stack_end prism
    done
    prism_url=http://127.0.0.1:$port
    prism_listens
}

# replay: each request of the log; prints what was not answered with 2xx.
replay() {
    local request status path key

    while read -r request; do
        path=$(jq -r .path <<<"$request")
        key=$(jq -r .retry_key <<<"$request")
        status=$(jq -j .body <<<"$request" |
            curl -s -o /dev/null -w '%{http_code}' --max-time 20 \
                -X "$(jq -r .method <<<"$request")" \
                -H 'Authorization: Bearer x' \
                -H 'Content-Type: application/json' \
                ${key:+-H "X-Line-Retry-Key: $key"} \
                --data-binary @- "$prism_url$path")
        [[ $status == 2* ]] || echo "$status $path"
        replayed=$((replayed + 1))
    done < <(jq -c 'select(.kind == "request")' "$log")
}

smoke_init
smoke_must npm_install
export DARKROOM_CHANNEL_DEFAULT_PUSH=on DARKROOM_CHANNEL_DEFAULT_LOADING=on
export DARKROOM_CHANNEL_DEFAULT_MARK_AS_READ=on
export DARKROOM_CHANNEL_DEFAULT_QUOTE_TEXT='Here it is: 😀 "quoted"'
export DARKROOM_CHANNEL_DEFAULT_SENDER_NAME=darkroom
export DARKROOM_CHANNEL_DEFAULT_LANGUAGE=ja
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 2
smoke_photo
send_photo "$photo" '{"count": 2}' >/dev/null
send_photo "$photo" '{"count": 3, "set": true}' >/dev/null
send_photo "$photo" '{"source": "group", "kind": "file"}' >/dev/null
send_photo "$smoke_top/LICENSE" >/dev/null
send_photo "$photo" '{"reply": {"fault": "status", "status": 400}}' >/dev/null
wait_replied 8
send_photo "$photo" '{"kind": "external"}' >/dev/null
message=$(jq -r .photos[0].message_id <<<"$state")
sim_post unsend "{\"message_id\": \"$message\"}" >/dev/null

log=$stack_dir/sim.jsonl
ok "all requests and webhooks are valid" "$check" "$spec" "$log"
for path in message/reply message/push chat/loading/start chat/markAsRead; do
    ok "there are some of $path" \
        grep -q "\"kind\":\"request\".*\"/v2/bot/$path\"" "$log"
done

jq -c 'select(.path == "/v2/bot/message/reply" and
    (.body | contains("previewImageUrl")))' "$log" | head -n 1 \
    >"$stack_dir/one"
sed 's/\\"previewImageUrl/\\"preview/' "$stack_dir/one" >"$stack_dir/bad"
ok "a member that is missing would be found" \
    told_of "$stack_dir/bad" "'previewImageUrl' is a required property"
sed 's/\\"image\\"/\\"picture\\"/' "$stack_dir/one" >"$stack_dir/bad"
ok "so would a type that does not exist" \
    told_of "$stack_dir/bad" "'picture' is not one of"
sed 's,message/reply,message/answer,' "$stack_dir/one" >"$stack_dir/bad"
ok "so would a call that does not exist" \
    told_of "$stack_dir/bad" "not in the schema"

smoke_must prism
replayed=0
replay >"$stack_dir/refused"
is "prism takes all of the $replayed requests" "$(<"$stack_dir/refused")" ""
ok "which are some" [ "$replayed" -ge 15 ]
log=$stack_dir/bad
jq -c '.body |= sub("replyToken"; "token")' "$stack_dir/one" >"$log"
is "it would refuse a bad one" "$(replay)" "400 /v2/bot/message/reply"

done_testing
