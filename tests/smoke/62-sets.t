#!/usr/bin/env bash
#
# Several pictures sent at once: answered together, in the order of their
# index, whichever worker had which.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
export DARKROOM_CHANNEL_DEFAULT_SET_WAIT_MS=6000
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 2
smoke_photo

# Pictures that can be told apart: picture number N is N * 16 pixels wide.
for n in {1..7}; do
    djpeg -ppm "$photo" |
        /usr/bin/python3 -c 'import sys
from PIL import Image
n = int(sys.argv[1])
picture = Image.open(sys.stdin.buffer).resize((16 * n, 64))
picture.save(sys.argv[2], quality=85)' "$n" "$stack_dir/$n.jpg"
done

# send_set MEMBERS N...: pictures of these numbers as one set.
send_set() {
    local members=$1

    shift
    sim_post reset '{}' >/dev/null
    sim_post photo "$(jq -cn --argjson more "$members" \
        '{files: $ARGS.positional, set: true, wait: true} + $more' \
        --args "${@/#/$stack_dir/}")" >"$stack_dir/sent"
}
widths='[.photos[].images[].original.width_px]'

send_set '{"parallel": 3}' {1..3}.jpg
wait_replied 3
state_is "three pictures: in order" "$widths" '[16,32,48]'
state_is "with one reply" .totals.replies 1

send_set '{"parallel": 7}' {1..7}.jpg
wait_replied 7
state_is "seven pictures: two replies" .totals.replies 2
is "five pictures in one and two in the other" \
    "$(jq -c 'select(.kind == "request") | .body | fromjson |
        .messages | length' "$stack_dir/sim.jsonl" | tail -n 2 | sort |
        paste -sd' ')" "2 5"
state_is "nobody is answered twice" .totals.replied_more_than_once 0

send_set '{"batch": 2}' {1..2}.jpg
wait_replied 2
state_is "two in one webhook: one reply" .totals.replies 1
state_is "in order" "$widths" '[16,32]'

send_set '{"set_unnumbered": true}' {1..3}.jpg
wait_replied 3 20
state_is "without index and total: one reply, after the wait" \
    .totals.replies 1
state_is "with all of them" \
    '[.photos[].images[].original.width_px] | sort' '[16,32,48]'

# One of three never becomes a picture: the others do not wait for it for ever,
# and its sender is told.
cp "$smoke_top/LICENSE" "$stack_dir/text.jpg"
send_set '{"parallel": 3}' 1.jpg text.jpg 3.jpg
wait_replied 3 20
state_is "a damaged one: a reply with two, and a text" \
    '[.totals.replies, ([.photos[].texts] | add)]' '[2,1]'

send_set '{"behaviour": {"status": 202, "status_tries": 0}}' 1.jpg 2.jpg
first=$(jq -r '.photos[0].message_id' "$stack_dir/sent")
sim_post behaviour "{\"message_id\": \"$first\",
    \"content\": {\"status\": 200}}" >/dev/null
wait_replied 1 20
state_is "one is not ready: the other is answered after the wait" \
    .totals.replies 1
second=$(jq -r '.photos[1].message_id' "$stack_dir/sent")
sim_post behaviour "{\"message_id\": \"$second\",
    \"content\": {\"status\": 200}}" >/dev/null
wait_replied 2 30
state_is "and the late one by a reply of its own" \
    '[.totals.replies, .totals.replied_more_than_once]' '[2,0]'

# A member is taken back while the set waits for another.
send_set '{"send": false}' {1..3}.jpg
mapfile -t ids < <(jq '.photos[].message_id' "$stack_dir/sent")
sim_post behaviour "{\"message_id\": ${ids[2]},
    \"content\": {\"status\": 202}}" >/dev/null
for id in "${ids[@]}"; do
    sim_post repeat "{\"message_id\": $id, \"redelivery\": false}" >/dev/null
done
ok "two of a set wait for the third" \
    wait_log 10 " event=parked job=${ids[1]//\"/} "
sim_post unsend "{\"message_id\": ${ids[0]}}" >/dev/null
sim_post behaviour "{\"message_id\": ${ids[2]},
    \"content\": {\"status\": 200}}" >/dev/null
wait_replied 2 30
state_is "one is taken back: the others are answered, together" \
    '[([.photos[].replies] | add), [.photos[].images | length]]' '[1,[0,1,1]]'
state_is_lawful

done_testing
