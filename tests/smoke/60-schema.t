#!/usr/bin/env bash
#
# What darkroom sends to LINE, and what the simulator sends to darkroom, held
# against LINE's own schema.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

spec=$smoke_top/tests/data/line-openapi
check=$smoke_top/tests/tool/openapi_check.py

# told_of LOG PATTERN: the log is refused, for a reason that matches.
told_of() {
    said=$("$check" "$spec" "$1") && return 1
    grep -qE "$2" <<<"$said"
}

smoke_start
smoke_photo
send_photo "$photo" '{"count": 2}' >/dev/null
send_photo "$photo" '{"count": 3, "set": true}' >/dev/null
wait_replied 5
for kind in external file; do
    send_photo "$photo" "{\"kind\": \"$kind\"}" >/dev/null
done
message=$(jq -r .photos[0].message_id <<<"$state")
sim_post unsend "{\"message_id\": \"$message\"}" >/dev/null

log=$stack_dir/sim.jsonl
ok "all requests and webhooks are valid" "$check" "$spec" "$log"
ok "there were replies among them" \
    grep -q '"kind":"request".*message/reply' "$log"

jq -c 'select(.path == "/v2/bot/message/reply")' "$log" | head -n 1 \
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

done_testing
