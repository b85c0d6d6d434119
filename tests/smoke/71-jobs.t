#!/usr/bin/env bash
#
# `darkroom jobs` beside a pool at work: lists, receipts, a dead job that is
# retried and pushed, one that is dropped, and changes as they come.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx
smoke_must stack_sim
export DARKROOM_CHANNEL_DEFAULT_FAILURE_TEXT=off
export DARKROOM_CHANNEL_DEFAULT_PUSH=on
smoke_must stack_pool 2
smoke_photo

# jobs WORD...: sets `said` and `status`.
jobs() {
    said=$(timeout 30 "$BUILD/darkroom" jobs "$@" 2>&1 </dev/null)
    status=$?
}

# is_job ID FILTER WANTED: what jq makes of the job, once it is so.
job_has() {
    jobs show --json "$1"
    [ "$(jq -r "$2" <<<"$said")" = "$3" ]
}

jobs list --json
is "an empty queue is an empty list" "$status:$said" "0:"

timeout 60 "$BUILD/darkroom" jobs watch --json >"$stack_dir/watched" &
watcher=$!
watching() {
    [ "$(find "$stack_dir/state/queue.db.owners" -type f | wc -l)" -ge 3 ]
}
ok "somebody watches" stack_until 10 watching
sleep 1 # its first look

good=$(send_photo "$photo" | jq -r '.photos[0].message_id')
wait_replied 1
bad=$(send_photo "$photo" '{"behaviour": {"status": 404}}' |
    jq -r '.photos[0].message_id')
ok "a picture that LINE has not ends dead" \
    stack_until 10 job_has "$bad" .state dead

# ---- list and show

jobs list
is "the list has a head and both" "$(wc -l <<<"$said")" 3
like "the latest first" "$(sed -n 2p <<<"$said")" "$bad .* dead .*not found"
jobs list --json --state "done"
is "by state" "$(jq -r .message_id <<<"$said")" "$good"
jobs list --json --outcome dead
is "by outcome" "$(jq -r .message_id <<<"$said")" "$bad"
jobs list --json --channel other
is "by channel" "$said" ""
jobs list --json --since 1h --limit 1
is "by age, so many" "$(jq -r .message_id <<<"$said")" "$bad"
jobs list --state daed
is "a state that does not exist is an error" $status 64
like "that says which there are" "$said" "'daed': a state is ready, leased"

jobs show "$good"
like "a receipt says the outcome" "$said" 'outcome +replied'
like "and when each stage was over" "$(tr '\n' ' ' <<<"$said")" \
    'received .* fetched .*after the webhook.* published .* ended '
like "and where the picture is" "$said" \
    "original +$stack_url/static/[a-z2-7]{2}/[a-z2-7]{30}.png"
number=$(jq -r .id <<<"$("$BUILD/darkroom" jobs show --json "$good")")
is "for programs in order, too" "$("$BUILD/darkroom" jobs show --json \
    "$good" | jq '.received_ms <= .fetched_ms and
        .fetched_ms <= .published_ms and .published_ms <= .due_ms')" true
jobs show "$number"
like "a number will do, too" "$said" "message $good"
jobs show 99999999
is "one that is not there" $status 1
like "is named" "$said" "99999999: no such job"
ok "no token is told" \
    sh -c "! '$BUILD/darkroom' jobs list --json | grep -qi token"

# ---- retry

jobs retry "$good"
is "what is not dead is not retried" $status 1
like "which is said" "$said" "is done and not dead"
DARKROOM_CHANNEL_DEFAULT_PUSH=off jobs retry "$bad"
is "nor what could not be pushed" $status 1
like "with what to do" "$said" "may not push: set push = on"
sim_post behaviour "$(jq -cn --arg id "$bad" \
    '{message_id: $id, content: {status: 200}}')" >/dev/null
jobs retry "$bad"
is "a dead one is" $status 0
ok "and is pushed" stack_until 10 job_has "$bad" .outcome pushed
is "the user has it" "$(sim_get 'wait?pushes=1' | jq .totals.pushes)" 1

# ---- drop

stuck=$(send_photo "$photo" '{"behaviour": {"delay_ms": 30000}}' |
    jq -r '.photos[0].message_id')
ok "one is in hand" stack_until 10 job_has "$stuck" .state leased
jobs drop --reason "enough of it" "$stuck"
is "it is dropped" $status 0
like "with a remark" "$said" "a worker has it in hand"
ok "it is dead, for that reason" job_has "$stuck" '.state + ": " + .reason' \
    "dead: enough of it"
jobs drop "$stuck"
is "not twice" $status 1

# ---- watch

# watched MESSAGE OUTCOME: it is the last that was seen of it.
watched() {
    [ "$(jq -r --arg id "$1" 'select(.message_id == $id) | .outcome' \
        <"$stack_dir/watched" | tail -n 1)" = "$2" ]
}
ok "who watches sees the end of the first" \
    stack_until 10 watched "$good" replied
ok "and that of the second" stack_until 10 watched "$bad" pushed
ok "and that of the dropped one" stack_until 10 watched "$stuck" dead

old=$(send_photo "$photo" '{"behaviour": {"status": 404}}' |
    jq -r '.photos[0].message_id')
ok "and that of one more that died" stack_until 10 watched "$old" dead

# burst COUNT NAME: copies of the first, all at once.
burst() {
    python3 - "$stack_dir/state/queue.db" "$good" "$@" <<'END'
import sqlite3, sys
path, message, count, event = sys.argv[1:]
db = sqlite3.connect(path, timeout=20)
names = [c[1] for c in db.execute("PRAGMA table_info(job)") if c[1] != "id"]
picked = [f"'{event}-' || n" if name == "event_id" else name for name in names]
with db:
    db.execute(f"""WITH RECURSIVE count(n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?)
        INSERT INTO job ({", ".join(names)}) SELECT {", ".join(picked)}
        FROM job, count WHERE message_id = ? LIMIT ?""",
        [int(count), message, int(count)])
END
}
before=$(wc -l <"$stack_dir/watched")
watched_more() {
    [ "$(wc -l <"$stack_dir/watched")" -ge $((before + $1)) ]
}
# More than a look at the latest would find.
ok "700 jobs come at once" burst 700 burst
ok "who watches sees them all" stack_until 10 watched_more 700
is "each once, oldest first" "$(tail -n +$((before + 1)) \
    "$stack_dir/watched" | jq -s '[.[].id] | length, (. == unique)' |
    tr '\n' ' ')" "700 true "
forget_latest() {
    python3 - "$stack_dir/state/queue.db" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
with db:
    db.execute("DELETE FROM job WHERE id > (SELECT max(id) - 400 FROM job)")
END
}
ok "all that it follows is purged" forget_latest
sleep 1 # a look that finds none of it
ok "another one comes" burst 1 last
ok "which is seen" stack_until 10 watched_more 701
is "and nothing again" "$(wc -l <"$stack_dir/watched")" $((before + 701))

# One that ended an hour and 700 jobs ago.
ok "a dead job grows old" python3 - "$stack_dir/state/queue.db" "$old" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
with db:
    db.execute("""UPDATE job SET received_ms = received_ms - 3600000
        WHERE message_id = ?""", [sys.argv[2]])
END
sleep 1 # who watches forgets it
sim_post behaviour "$(jq -cn --arg id "$old" \
    '{message_id: $id, content: {status: 200}}')" >/dev/null
jobs retry "$old"
is "it is retried" $status 0
ok "who watches sees that, too" stack_until 20 watched "$old" pushed
is "and no other once more" "$(jq -s '[.[] | select(.state == "done") | .id] |
    length == (unique | length)' "$stack_dir/watched")" true
kill "$watcher"
wait "$watcher" 2>/dev/null

# ---- what was dropped is tried again, while its worker has it in hand still

sim_post behaviour "$(jq -cn --arg id "$stuck" \
    '{message_id: $id, content: {status: 200}}')" >/dev/null
jobs retry "$stuck"
is "a dropped one can be retried" $status 0
ok "and is pushed" stack_until 10 job_has "$stuck" .outcome pushed
is "once, and not replied" "$(sim_get state | jq -c --arg id "$stuck" \
    '.photos[] | select(.message_id == $id) | [.replies, .pushes]')" '[0,1]'

# ---- others' words, and where they go

python3 - "$stack_dir/state/queue.db" "$good" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
with db:
    db.execute("UPDATE job SET last_status = 'REFUSED', reason = "
        "CAST(x'1b5b33316d20e58699e7' AS TEXT) WHERE message_id = ?",
        [sys.argv[2]])
END
jobs list --limit 1
like "a reason does not speak to the terminal" "$said" ' \[31m 写\?$'
jobs show "$number"
like "nor in a receipt" "$said" ':  \[31m 写\?'
jobs show --json "$number"
is "and one that is cut is JSON all the same" "$(jq -r .reason <<<"$said")" \
    " [31m 写?"
ok "also on the status page" sh -c "curl -s --cacert '$stack_dir/cert.pem' \
    $stack_url/darkroom/status.json | jq -e '.jobs | length > 0'"
jobs list --json --limit 300 >/dev/null
is "a list is written" $status 0
if [ -w /dev/full ]; then
    "$BUILD/darkroom" jobs list >/dev/full 2>"$stack_dir/said"
    is "a list that could not be is a failure" $? 74
    like "that is told" "$(<"$stack_dir/said")" "No space left on device"
fi
"$BUILD/darkroom" jobs list >&- 2>/dev/null
is "so is one that nobody takes" $? 74

# ---- what can go wrong

DARKROOM_SERVER_STATE_DIR=$stack_dir/nowhere jobs list
is "without a queue it fails" $status 74
like "and says which" "$said" "no queue at .*nowhere"
ok "and makes none" [ ! -e "$stack_dir/nowhere" ]
jobs lst
is "a wrong word is an error" $status 64
jobs show
is "so is no id" $status 64
jobs drop ""
is "an empty id is not every job" $status 64

sim_post reset '{}' >/dev/null
send_photo "$photo" >/dev/null
wait_replied 1
state_is "the pool works on" .totals.replied_once 1

done_testing
