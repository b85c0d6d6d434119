#!/usr/bin/env bash
#
# 200 webhooks with a photo of one megapixel, 50 at a time: each is answered,
# and answered exactly once. Tells the peak memory of the whole pool.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

photos=200 at_once=50
# gcc's sanitizers take several times the CPU, and shadow and quarantine memory:
# with them neither the size of a burst nor that of the pool says anything.
sanitized=$(grep -cE "__[at]san_init" "$BUILD/darkroom")
[ "$sanitized" -eq 0 ] || photos=50 at_once=10

smoke_start
smoke_photo

sent=$(send_photo "$photo" "{\"count\": $photos, \"parallel\": $at_once}")
is "all webhooks are answered with 200" "$(jq .acked <<<"$sent")" $photos
wait_replied $photos 120
state_is "all photos are answered" .totals.answered $photos
state_is "each exactly once" '[.photos[].replies] | unique' '[1]'
state_is "with good pictures" .totals.images_good $photos
state_is "every webhook at the first try" .totals.webhooks_failed 0
state_is_lawful
is "no error in the log" "$(log_count ' level=error ')" 0

# Peaks of single processes: their sum is not less than the pool's peak.
peak_kb=0 processes=0
for process in $(stack_family "${stack_pids[pool]}"); do
    kb=$(awk '/^VmHWM:/ { print $2 }' "/proc/${process%/*}/status")
    peak_kb=$((peak_kb + ${kb:-0}))
    processes=$((processes + 1))
done
diag "peak memory of the pool: $((peak_kb / 1024)) MB in $processes" \
    "processes;" \
    "ack $(jq -r '.totals.ack_us |
        "p50 \(.p50 / 1000) ms, p99 \(.p99 / 1000) ms"' <<<"$state")"
[ "$sanitized" -gt 0 ] ||
    ok "the pool stays below 200 MB" [ $peak_kb -lt $((200 * 1024)) ]

done_testing
