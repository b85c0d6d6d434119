#!/usr/bin/env bash
#
# Commands when another process holds the queue: they say what they wait for,
# once, and go on when it lets go.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 1
ok "there is a queue" stack_until 10 test -e "$stack_dir/state/queue.db.gate"
stack_end pool

waits_for="the queue is held by another process; waiting for it"
says() {
    grep -q "$waits_for" "$stack_dir/said"
}

# waits COMMAND [WORD...]: says so while the queue is held, ends well after.
waits() {
    local pid status

    : >"$stack_dir/said"
    ok "$*: the queue is held" hold_lock "$stack_dir/state/queue.db.gate"
    "$BUILD/darkroom" "$@" >"$stack_dir/out" 2>"$stack_dir/said" &
    pid=$!
    ok "$*: it says what it waits for" stack_until 20 says
    let_go
    wait "$pid"
    status=$?
    # Whether nginx may enter depends on where the checkout lies.
    [ "$1" != check ] || status=0
    is "$*: it goes on, and said it once" \
        "$status:$(<"$stack_dir/said")" "0:darkroom $1: $waits_for"
}
waits jobs list
waits purge --message 1
waits janitor
waits check --offline
like "which it then tests" "$(<"$stack_dir/out")" "pass  queue "

"$BUILD/darkroom" jobs list >/dev/null 2>"$stack_dir/said"
is "nothing is said without need" "$(<"$stack_dir/said")" ""

done_testing
