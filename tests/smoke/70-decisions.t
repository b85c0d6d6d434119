#!/usr/bin/env bash
#
# Every row of tests/data/decisions.tsv that a platform can cause, end to end:
# each job is brought to its stage and held there, its row of the queue is made
# what the situation says while no worker runs, and then it goes on against the
# fault. Its receipt must be that of the table.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

tool() {
    "$smoke_top/tests/tool/decisions.py" "$1" "$stack_sim_url" \
        "$stack_dir/state" "${@:2}"
}

# channel NAME SETTING...: one that the simulator's platform signs for.
channel() {
    local name=$1 each

    shift
    for each in "SECRET=$stack_secret" "ACCESS_TOKEN=$stack_token" \
        "EXTERNAL=on" "$@"; do
        export "DARKROOM_CHANNEL_${name}_$each"
    done
}

smoke_init
channel PLAIN
channel QUIET FAILURE_TEXT=off
channel PUSH PUSH=on
channel PUSH_BUSY PUSH=on LATE=busy
channel PUSH_LATE PUSH=on LATE=push
channel BUDGET PUSH=on PUSH_BUDGET=1
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 2
smoke_photo

ok "each job is held where its row begins" tool hold "$photo"
ok "the pool stops" stack_end pool
ok "the queue is as the situations want it" tool place
smoke_must stack_pool 2
ok "all go on" tool release

skipped=0
while IFS=$'\t' read -r result name got; do
    case $result in
    skip) skipped=$((skipped + 1)) ;;
    *) is "$name" "${result/wrong/$got}" ok ;;
    esac
done < <(tool receipts)
diag "$skipped rows can not be caused from outside; test_decide has them"

state=$(sim_get state)
state_is "nobody was replied to twice" \
    '[.photos[] | select(.replies > 1)] | length' 0
state_is "a push follows a reply only where that was the busy text" \
    '[.photos[] | select(.replies + .pushes > 1 and .verdict != "ok")] |
    length' 0
state_is "no other rule of LINE's was broken" \
    '[.violations[].kind | select(. != "unauthorized")]' '[]'

done_testing
