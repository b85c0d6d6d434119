#!/usr/bin/env bash
#
# A worker is killed between the answer to LINE and the reply to the user.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start
smoke_photo

# kill_worker_of EVENT MESSAGE: the worker that logged it, with SIGKILL.
kill_worker_of() {
    kill -KILL "$(log_field " event=$1 job=$2 " pid)"
}

sent=$(send_photo "$photo" '{"behaviour":
    {"stall_after_bytes": 30000, "stall_tries": 1}}')
message=$(jq -r .photos[0].message_id <<<"$sent")
is "a photo is accepted" "$(jq .photos[0].ack_status <<<"$sent")" 200
ok "it is being fetched" wait_log 10 " event=fetching job=$message "
ok "its worker is killed" kill_worker_of fetching "$message"
wait_replied 1 70
state_is "the reply comes" .totals.images_good 1
state_is "once" .totals.replies 1
ok "from another process" [ \
    "$(log_field " event=fetching job=$message " pid)" != \
    "$(log_field " event=replied job=$message " pid)" ]

# Here the first reply arrives and its answer does not: the second one is
# refused by LINE because the token is used, and that means delivered.
sent=$(send_photo "$photo" '{"reply":
    {"fault": "hang", "effect": true, "tries": 1}}')
message=$(jq -r .photos[0].message_id <<<"$sent")
ok "another one is published" wait_log 10 " event=published job=$message "
wait_replied 2 10
ok "its worker is killed during the reply" kill_worker_of published "$message"
ok "another one ends the job" wait_log 70 " event=replied job=$message "
state=$(sim_get state)
state_is "there is one reply for it" \
    ".photos[] | select(.message_id == \"$message\") | .replies" 1
state_is "and no push" .totals.pushes 0

sent=$(send_photo "$photo")
wait_replied 3
state_is "the pool is whole again" .totals.images_good 3

done_testing
