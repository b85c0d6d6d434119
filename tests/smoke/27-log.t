#!/usr/bin/env bash
#
# The log as JSON: every line of workers and labs is an object, from the first
# one, with the fields that logfmt has; and a bad setting is told in it, too.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

export DARKROOM_SERVER_LOG_FORMAT=json
export DARKROOM_SERVER_LOG_LEVEL=debug
smoke_start 2
smoke_photo

user=Ub0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0
sent=$(send_photo "$photo" "{\"kind\": \"file\", \"user_id\": \"$user\"}")
message=$(jq -r .photos[0].message_id <<<"$sent")
wait_replied 1
ok "the pool ends" stack_end pool

# What multiwatch says of itself is its own.
grep -v '^multiwatch' "$stack_dir/pool.log" >"$stack_dir/lines"
is "every line is an object with the common fields" "$(jq -R -c 'fromjson? //
    {} | select((.ts | type) == "string" and (.level | type) == "string" and
    (.pid | type) == "number" and (.event | type) == "string")' \
    "$stack_dir/lines" | grep -c .)" "$(grep -c . "$stack_dir/lines")"
story=$(jq -r "select(.job == \"$message\" and .event != \"enter\") | .event" \
    "$stack_dir/lines" | sort -u | tr '\n' ' ')
for event in accepted claimed fetching transcoding fetched published replied; do
    like "it tells: $event" " $story" " $event "
done
ok "times are numbers" jq -e -s "map(select(.job == \"$message\" and
    .event == \"replied\"))[0].ms | type == \"number\"" "$stack_dir/lines"
is "the labs' lines, too" \
    "$(jq -r 'select(.event == "lab_keeper_ready") | .event' \
        "$stack_dir/lines" | sort -u)" lab_keeper_ready
is "secrets and users are not in it, even in the finest log" \
    "$(grep -cF -e $stack_secret -e $stack_token -e $user \
        -e "$(jq -r .photos[0].reply_token <<<"$sent")" "$stack_dir/lines")" 0

DARKROOM_SERVER_ACCEPTORS=none DARKROOM_SERVER_STATE_DIR=$stack_dir/state \
    "$BUILD/darkroom" serve 2>"$stack_dir/bad" <"$stack_dir/lines"
is "a bad setting is told as JSON" \
    "$(jq -r 'select(.event == "bad_setting") | .level' "$stack_dir/bad" |
        sort -u)" error
done_testing
