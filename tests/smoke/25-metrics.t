#!/usr/bin/env bash
#
# The counts of the whole pool, by whichever worker is asked: exact, whole
# after a worker is killed, in the format that Prometheus reads, and without a
# word about whom the pictures are of.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

workers=3
photos=5
smoke_start $workers
smoke_photo

# sample NAME: its value in the answer of whoever takes the request.
sample() {
    stack_curl /metrics >"$stack_dir/metrics.txt"
    awk -v name="$1" '$1 == name { print $2; found = 1 }
        END { if (!found) print "none" }' "$stack_dir/metrics.txt"
}
sample_is() {
    [ "$(sample "$1")" = "$2" ]
}

# samples_are NAME WANTED: the same from all workers; the last of a job's counts
# comes after its reply.
samples_are() {
    local seen=

    stack_until 10 sample_is "$1" "$2"
    for _ in {1..12}; do
        seen+=" $(sample "$1")"
    done
    is "$1 is $2, whoever is asked" \
        "$(tr ' ' '\n' <<<"$seen" | sort -u | tr -d '\n')" "$2"
}

# Who sends, and the tokens, are looked for at the end.
user=Ub0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0
printf '%s\n' $user >"$stack_dir/people"
send() {
    sent=$(send_photo "$1" "{\"user_id\": \"$user\"${2:-}}")
    jq -r '.photos[0].reply_token' <<<"$sent" >>"$stack_dir/people"
}

for ((i = 0; i < photos; i++)); do
    send "$photo"
done
message=$(jq -r .photos[0].message_id <<<"$sent")
wait_replied $photos
answer=$(sim_post repeat "{\"message_id\":\"$message\",\"redelivery\":true}")
is "a duplicate: 200" "$(jq .status <<<"$answer")" 200
text='[{"type":"message","mode":"active","timestamp":1790000000123,
    "source":{"type":"user","userId":"Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    "webhookEventId":"01K2A0000000000000000000T1",
    "deliveryContext":{"isRedelivery":false},"replyToken":"t1t1t1t1t1t1t1t1",
    "message":{"type":"text","id":"600000000000000777","text":"hello"}}]'
answer=$(sim_post webhook "{\"events\":$text}")
is "a text: 200" "$(jq .status <<<"$answer")" 200
answer=$(sim_post webhook "{\"events\":$text,\"signature\":\"wrong\"}")
is "a wrong signature: 401" "$(jq .status <<<"$answer")" 401
# Of no use, which shows at its end: it is fetched to the last byte.
head -c 60000 "$photo" >"$stack_dir/part.jpg"
send "$stack_dir/part.jpg"

# ---- exact

replied='darkroom_jobs_total{channel="default",outcome="replied"}'
samples_are "$replied" $photos
samples_are 'darkroom_jobs_total{channel="default",outcome="failure_text"}' 1
samples_are 'darkroom_webhooks_total{code="200"}' $((photos + 3))
samples_are 'darkroom_webhooks_total{code="401"}' 1
samples_are 'darkroom_webhooks_total{code="503"}' 0
samples_are 'darkroom_events_total{result="accepted"}' $((photos + 1))
samples_are 'darkroom_events_total{result="duplicate"}' 1
samples_are 'darkroom_events_total{result="unwanted"}' 1
samples_are darkroom_webhook_ack_seconds_count $((photos + 3))
samples_are darkroom_queue_wait_seconds_count $((photos + 1))
samples_are darkroom_fetch_seconds_count $((photos + 1))
samples_are darkroom_transcode_seconds_count $photos
samples_are darkroom_publish_seconds_count $photos
samples_are darkroom_reply_seconds_count $((photos + 1))
samples_are darkroom_time_to_reply_seconds_count $photos
samples_are darkroom_fetched_bytes_total $((photos * photo_bytes + 60000))
samples_are darkroom_published_bytes_total \
    "$(find "$stack_dir/state/public" -name '*.png' -printf '%s\n' |
        awk '{ sum += $1 } END { print sum }')"
samples_are darkroom_workers $workers
samples_are darkroom_ready 1
samples_are 'darkroom_queue_jobs{state="done"}' $((photos + 1))
is "one failure has a reason" \
    "$(sed -n 's/^darkroom_failures_total{.*} //p' "$stack_dir/metrics.txt" |
        awk '{ sum += $1 } END { print sum }')" 1

# ---- the format

like "its type names the format" \
    "$(stack_curl /metrics -o /dev/null -D - | tr -d '\r')" \
    $'\nContent-Type: text/plain; version=0.0.4; charset=utf-8\n'
promtool=$smoke_top/scripts/monitoring/promtool
smoke_must "$promtool" --fetch
is "promtool finds nothing to say" \
    "$("$promtool" check metrics <"$stack_dir/metrics.txt" 2>&1)" ""

# ---- the status page's data

stack_curl /darkroom/status.json >"$stack_dir/status.json"
status_is() {
    is "$1" "$(jq -c "$2" "$stack_dir/status.json")" "$3"
}
status_is "the pool is ready" '[.ready, .not_ready, .workers]' \
    "[true,[],$workers]"
status_is "the last hour has the pictures" '[(.minutes | length),
    (.minutes | add), .hour_time_to_reply.count]' "[60,$photos,$photos]"
status_is "times to reply are told" '.hour_time_to_reply | .p50_us > 0 and
    .p99_us >= .p50_us' true
status_is "those of each minute that had pictures, too" \
    '([.minutes_time_to_reply | .p50_us, .p99_us | map(. == null)] | unique) ==
    [.minutes | map(. == 0)]' true
status_is "so is the ack" '.stages.webhook_ack | .count > 0 and .p99_us > 0' \
    true
status_is "a channel has its outcomes" \
    '.channels[0] | [.name, .outcomes.replied, .outcomes.failure_text]' \
    "[\"default\",$photos,1]"
status_is "failures have reasons" '[.failures[].count]' '[1]'
status_is "the latest jobs, the last one first" \
    "[(.jobs | length), .jobs[0].outcome, .jobs[1].outcome,
        .jobs[1].message_id]" \
    "[$((photos + 1)),\"failure_text\",\"replied\",\"$message\"]"
status_is "receipts have both times" \
    '.jobs[1] | .ended_ms - .received_ms | . > 0 and . < 60000' true
url=$(jq -r '.jobs[1].preview_url' "$stack_dir/status.json")
is "the preview can be looked at" \
    "$(stack_curl "${url#"$stack_url"}" -o /dev/null \
        -w '%{http_code} %{content_type}')" \
    "200 image/png"
is "a picture that was none has no URL" \
    "$(jq -c '.jobs[0] | has("preview_url")' "$stack_dir/status.json")" false
is "readyz" "$(stack_curl /readyz)" ready

# ---- a worker dies

kill -KILL "$(log_field " event=replied " pid)"
samples_are darkroom_workers $workers
send "$photo"
wait_replied $((photos + 1))
samples_are "$replied" $((photos + 1))
samples_are darkroom_fetch_seconds_count $((photos + 2))

# ---- the whole pool ends and comes again

ok "the pool ends" stack_end pool
smoke_must stack_pool 1
samples_are "$replied" $((photos + 1))
samples_are darkroom_workers 1

# ---- nothing about people, and no secret, in what is shown, logged or kept

stack_curl /darkroom/status.json >>"$stack_dir/status.json"
send "$photo" ', "behaviour": {"delay_ms": 2000}'
in_the_queue() {
    grep -qFf "$stack_dir/people" "$stack_dir"/state/queue.db*
}
ok "of a picture on its way the queue knows" stack_until 5 in_the_queue
wait_replied $((photos + 2))
ok "the pool ends again" stack_end pool
printf '%s\n' $stack_secret $stack_token >"$stack_dir/secrets"
is "there is something to look for" "$(grep -cE '.{16}' "$stack_dir/people")" \
    $((photos + 4))

# found_in WORDS FILE...: the files that hold one of the words.
found_in() {
    local words=$1

    shift
    grep -lFf "$words" "$@"
}
mapfile -t kept < <(find "$stack_dir/state" -type f ! -name '*.png')
ok "the state directory is looked at" [ ${#kept[@]} -ge 3 ]
is "secrets are nowhere" "$(found_in "$stack_dir/secrets" "${kept[@]}" \
    "$stack_dir"/{pool.log,access.log,status.json,metrics.txt})" ""
is "of pictures that have ended, who sent them is nowhere" \
    "$(found_in "$stack_dir/people" "${kept[@]}" \
        "$stack_dir"/{pool.log,access.log,status.json,metrics.txt})" ""
done_testing
