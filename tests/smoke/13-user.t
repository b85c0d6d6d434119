#!/usr/bin/env bash
#
# As on a server: nginx's workers are not root and not the user of the pool.
# They reach the pool through the socket's group and read what it publishes.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_photo

# Only root can start processes of two users; another's nginx is its own.
stack_pool_options=()
if [ "$(id -u)" -eq 0 ]; then
    chmod o+x "${TMPDIR:-/tmp}" "$stack_dir"
    if runuser -u www-data -- test -x "$stack_dir"; then
        stack_nginx_user=www-data
        stack_pool_options=(-g www-data)
    else
        diag "www-data can not enter $stack_dir: nginx runs as root"
    fi
else
    diag "not root: nginx and the pool run as the same user"
fi
rmdir "$stack_dir/state" # the pool makes its own, as on a new machine
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 1

is "the webhook reaches the pool" \
    "$(send_photo "$photo" | jq .photos[0].ack_status)" 200
wait_replied 1
state_is "both pictures could be fetched" .totals.images_good 1
state_is_lawful
if [ "${stack_nginx_user:-root}" = www-data ]; then
    is "by workers that are not root" \
        "$(ps -o user= --ppid "${stack_pids[nginx]}" | sort -u)" www-data
    ok "they can not read the queue" sh -c \
        "! runuser -u www-data -- cat '$stack_dir/state/queue.db'"
    ok "nor the key of the names" sh -c \
        "! runuser -u www-data -- cat '$stack_dir/state/name.key'"
fi

# ---- one pool to a socket

said=$(cd "$stack_dir" && "$smoke_top/scripts/pool" pool.sock 1 2>&1)
ok "a second pool on the socket fails" [ $? -ne 0 ]
like "and says why" "$said" "socket is already in use"
is "the first one goes on" "$(stack_curl /healthz)" ok

mapfile -t family < <(stack_family "${stack_pids[pool]}")
ok "the pool is killed" kill -KILL "${family[@]%/*}"
ok "all of it" stack_until 5 stack_gone "${family[@]}"
ok "its socket is left" [ -S "$stack_dir/pool.sock" ]
smoke_must stack_pool 1
is "the next pool takes its place" "$(stack_curl /healthz)" ok

ok "it ends when told to" stack_end pool
done_testing
