#!/usr/bin/env bash
#
# When nothing can be stored the answer is 503, so that LINE sends it again;
# and 200 as soon as it can.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_photo
smoke_must stack_nginx
smoke_must stack_sim

# The state directory on a file system of its own of 160 MB. The pool alone
# sees it, so nginx has no pictures to serve here. A user who is not root
# becomes it in a namespace.
namespace=(unshare --mount)
[ "$(id -u)" -eq 0 ] || namespace+=(--map-root-user)
# shellcheck disable=SC2016 # for the inner shell
small_disk='mount -t tmpfs -o size=160m tmpfs state && exec "$0" "$@"'
"${namespace[@]}" sh -c "cd '$stack_dir' && $small_disk" true 2>/dev/null &&
    stack_pool_prefix=("${namespace[@]}" sh -c "$small_disk")
smoke_must stack_pool 2

ack() {
    send_photo "$photo" | jq -c .photos[0].ack_status
}

is "there is room: 200" "$(ack)" 200
wait_replied 1
state_is "and a reply" .totals.replies 1

if [ ${#stack_pool_prefix[@]} -gt 0 ]; then
    # The pool's view of its files, from outside.
    inside=/proc/${stack_pids[pool]}/root$stack_dir/state
    head -c 200M /dev/zero >"$inside/ballast" 2>/dev/null
    is "the disk is full: 503" "$(ack)" 503
    rm "$inside/ballast"
    is "there is room again: 200" "$(ack)" 200
    wait_replied 2
    state_is "and a reply for each 200" .totals.replies 2
else
    diag "no name spaces here: the full disk is a limit of file sizes only"
fi

# Writes fail in the middle of a commit.
limit_files() {
    local pid

    for pid in $(stack_workers); do
        prlimit --pid "$pid" --fsize="$1": || return 1
    done
}
before=$(sim_get state | jq .totals.answered)
ok "files may not grow any more" limit_files 1
is "nothing can be written: 503" "$(ack)" 503
ok "files may grow again" limit_files unlimited
is "writing works again: 200" "$(ack)" 200
wait_replied $((before + 1))
state_is "and there is a reply" .totals.answered $((before + 1))

# Somebody holds the queue's lock, as a backup would.
gate=${inside:-$stack_dir/state}/queue.db.gate
ok "the queue is locked" hold_lock "$gate"
answer=$(sim_post webhook "$(jq -cn --argjson now "$(date +%s%3N)" '
    {timeout_ms: 5000, events: [{type: "message", mode: "active",
        timestamp: $now,
        source: {type: "user", userId: "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        webhookEventId: "01K2A0000000000000000000L1",
        deliveryContext: {isRedelivery: false}, replyToken: "l1l1l1l1l1l1l1l1",
        message: {type: "image", id: "600000000000000999",
            contentProvider: {type: "line"}}}]}')")
is "a locked queue: 503" "$(jq .status <<<"$answer")" 503
ok "in less than LINE's two seconds" \
    [ "$(jq .ack_us <<<"$answer")" -lt 2000000 ]
let_go
is "it is free again: 200" "$(ack)" 200

done_testing
