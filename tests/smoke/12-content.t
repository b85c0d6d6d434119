#!/usr/bin/env bash
#
# Content that does not come as one would wish.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start
smoke_photo

# send WHAT BEHAVIOUR [FILE]: sets `message`.
send() {
    local sent

    sent=$(send_photo "${3:-$photo}" "{\"behaviour\": $2}")
    message=$(jq -r .photos[0].message_id <<<"$sent")
    is "$1: accepted" "$(jq .photos[0].ack_status <<<"$sent")" 200
}

# of FILTER: for the photo sent last.
of() {
    jq -c ".photos[] | select(.message_id == \"$message\") | $1" <<<"$state"
}

send "content that trickles" '{"rate_bytes_s": 100000, "chunk_bytes": 4000,
    "framing": "chunked"}'
wait_replied 1
is "it is answered" "$(of .replies)" 1
begun=$(log_field " event=transcoding job=$message " bytes)
ok "transcoding began when less than a quarter was there ($begun of \
$photo_bytes bytes)" [ "${begun:-$photo_bytes}" -lt $((photo_bytes / 4)) ]
is "and before the download had ended" \
    "$(grep -oE " event=(transcoding|fetched) job=$message " \
        "$stack_dir/pool.log" | cut -d' ' -f2 | paste -sd' ')" \
    "event=transcoding event=fetched"

send "content that is cut" "{\"cut_after_bytes\": 50000, \"cut_tries\": 1}"
wait_replied 2
is "it is answered, once" "$(of .replies)" 1
is "after a second try" "$(of .content_requests)" 2
is "the log tells of the retry" \
    "$(log_count " event=retry job=$message .*reason=")" 1

send "an error of the platform" \
    '{"status": 500, "status_tries": 1, "delay_ms": 20}'
wait_replied 3
is "it is answered after a second try" "$(of '[.replies, .content_requests]')" \
    "[1,2]"

send "content that is no picture" '{}' "$smoke_top/LICENSE"
ok "it is given up, and the user is told" \
    wait_log 20 " event=told job=$message "
is "for the right reason" \
    "$(log_field " event=failed job=$message " reason)" NOT_AN_IMAGE
state=$(sim_get state)
is "without a second try" "$(of .content_requests)" 1
is "and with one reply" "$(of .replies)" 1

send "content that ends early, and nobody says so" \
    '{"framing": "close", "cut_after_bytes": 50000, "cut_tries": 1}'
wait_replied 5
is "it is answered, after a second try" \
    "$(of '[.replies, .content_requests]')" "[1,2]"

state=$(sim_get state)
state_is "half a picture is not sent" .totals.replies 5
state_is "the others have theirs" .totals.images_good 4
state_is_lawful
is "no temporary file is left" \
    "$(find "$stack_dir/state/public/.incoming" -type f)" ""

done_testing
