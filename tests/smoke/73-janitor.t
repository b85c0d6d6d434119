#!/usr/bin/env bash
#
# What is kept no longer: pictures beyond the retention, by hand and by one of
# the workers, and a picture that is purged.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx
smoke_must stack_sim
export DARKROOM_STORE_RETENTION=2h
public=$stack_dir/state/public
smoke_photo

# old NAME: a published picture of yesterday.
old() {
    mkdir -p "$public/${1%/*}"
    echo picture >"$public/$1"
    touch -d '1 day ago' "$public/$1"
}
first=ab/cdefghijklmnopqrstuvwxyz234567.png
second=ac/cdefghijklmnopqrstuvwxyz234567.png

# ---- by the workers

old $first
smoke_must stack_pool 2
gone() {
    [ ! -e "$public/$1" ]
}
ok "a worker removes it" stack_until 10 gone $first
ok "and says so" wait_log 5 'event=swept files=1'
ok "its turn is noted" stack_until 5 [ -s "$stack_dir/state/janitor.lock" ]

# The next worker comes too early.
old $second
stack_end pool
smoke_must stack_pool 2
message=$(send_photo "$photo" | jq -r '.photos[0].message_id')
wait_replied 1
ok "one of the pool, once in an hour" [ -e "$public/$second" ]

# ---- by hand

# janitor WORD...: sets `said` and `status`.
janitor() {
    said=$(timeout 30 "$BUILD/darkroom" janitor "$@" 2>&1 </dev/null)
    status=$?
}

janitor --dry-run
like "a dry run counts" "$status:$said" \
    "^0:1 file beyond retention, 0 leftovers.*would be removed"
ok "and removes nothing" [ -e "$public/$second" ]
DARKROOM_STORE_RETENTION=forever janitor --dry-run
like "nothing is beyond for ever" "$said" "^0 files"
janitor
like "without it, it is removed" "$status:$said" "^0:1 file beyond retention"
ok "really" gone $second
url=$("$BUILD/darkroom" jobs show --json "$message" | jq -r .original_url)
name=${url#"$stack_url/static/"}
ok "the picture of today stays" [ -e "$public/$name" ]
like "no receipt is old" "${said##*$'\n'}" "^0 receipts .*removed"
DARKROOM_STORE_RETENTION=5m janitor
is "an age of minutes is an error" $status 78
like "that says what could be" "$said" "neither forever nor an age from 1h"
janitor now
is "so is a word too many" $status 64

# ---- purge

# purge WORD...: sets `said` and `status`.
purge() {
    said=$(timeout 30 "$BUILD/darkroom" purge "$@" 2>&1 </dev/null)
    status=$?
}

is "it is served" "$(stack_curl "/static/$name" -o /dev/null \
    -w '%{http_code}')" 200
purge --message "$message"
like "it is purged" "$status:$said" "^0:.*published picture was removed"
is "and gone" "$(stack_curl "/static/$name" -o /dev/null \
    -w '%{http_code}')" 404
is "nothing of it is left" "$(find "$public" -name '*.png' | wc -l)" 0
is "the receipt tells" "$("$BUILD/darkroom" jobs list --json \
    --outcome removed | jq -r '.message_id + " " + .state')" "$message done"
slow=$(send_photo "$photo" '{"behaviour": {"delay_ms": 2000}}' |
    jq -r '.photos[0].message_id')
purge --message "$slow"
is "one that is on its way is purged, too" $status 0
is_withdrawn() {
    "$BUILD/darkroom" jobs show --json "$slow" | grep -q '"withdrawn"'
}
ok "it is withdrawn" stack_until 10 is_withdrawn
is "and nothing published" "$(find "$public" -name '*.png' | wc -l)" 0
sim_post repeat "{\"message_id\": \"$slow\"}" >/dev/null
is "it does not come back" "$(sim_get state |
    jq -c '[.totals.replies, .totals.pushes]')" '[1,0]'
purge --message '../etc'
is "an id that is none is an error" $status 64
purge
is "so is no id" $status 64

# ---- receipts

# made_old MESSAGE DAYS: its receipt is of so many days ago.
made_old() {
    /usr/bin/python3 - "$stack_dir/state/queue.db" "$@" <<'END'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=20)
db.execute("UPDATE job SET received_ms = ? WHERE message_id = ?",
           (int((time.time() - 86400 * float(sys.argv[3])) * 1000),
            sys.argv[2]))
db.commit()
END
}
is_forgotten() {
    ! "$BUILD/darkroom" jobs show "$1" >/dev/null 2>&1
}

done=$(send_photo "$photo" | jq -r '.photos[0].message_id')
wait_replied 2
stack_end pool
made_old "$done" 6.9
janitor
like "one of this week stays" "${said##*$'\n'}" "^0 receipts"
made_old "$done" 7.1
janitor --dry-run
like "a dry run counts receipts" "${said##*$'\n'}" \
    "^1 receipt beyond.*would be removed"
ok "and keeps them" "$BUILD/darkroom" jobs show "$done"
DARKROOM_QUEUE_KEEP_DONE=8d janitor
like "keep_done says how long" "${said##*$'\n'}" "^0 receipts"
janitor
like "then they are removed" "${said##*$'\n'}" "^1 receipt beyond.*, removed"
ok "really" is_forgotten "$done"
DARKROOM_QUEUE_KEEP_DONE=1h janitor
is "less than a day is an error" $status 78
smoke_must stack_pool 2
done=$(send_photo "$photo" | jq -r '.photos[0].message_id')
wait_replied 3
made_old "$done" 8
ok "a worker forgets them by itself" stack_until 20 is_forgotten "$done"

done_testing
