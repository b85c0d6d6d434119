#!/usr/bin/env bash
#
# Too few descriptors: a request waits until there is one, and the log says so.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx
smoke_must stack_pool 1

worker=$(stack_workers)

# ---- none is free while a request comes

before=$(prlimit --pid "$worker" --nofile --raw --noheadings --output SOFT)
ok "no descriptor can be opened" prlimit --pid "$worker" --nofile=3:
stack_curl /healthz -o "$stack_dir/answer" &
asking=$!
ok "the log says that none is accepted" wait_log 10 ' event=cannot_accept '
ok "descriptors are free again" prlimit --pid "$worker" --nofile="$before":
wait $asking
is "the request that waited is answered" "$(cat "$stack_dir/answer")" ok
is "it was said once" "$(log_count ' event=cannot_accept ')" 1
ok "the worker stops" stack_end pool

# ---- the limits a worker is started with

limit_of() {
    prlimit --pid "$(stack_workers)" --nofile --raw \
        --noheadings --output "$1"
}

stack_pool_prefix=(prlimit --nofile=100:4000)
smoke_must stack_pool 1
is "a worker takes as many descriptors as it may" "$(limit_of SOFT)" 4000
is "and has enough of them" "$(log_count ' event=few_descriptors ')" 0
ok "it stops" stack_end pool

export DARKROOM_SERVER_MAX_TRANSFERS=1000
smoke_must stack_pool 1
is "too few for what is set: 1000 pictures, 6 descriptors each" \
    "$(log_field ' event=few_descriptors ' max_transfers)" 1000
is "fewer pictures are taken at once" \
    "$(log_field ' event=few_descriptors ' transfers)" 645
kill -HUP "$(stack_workers)"
ok "a reload" wait_log 10 ' event=reloaded '
is "finds that nothing has changed" "$(log_count ' event=needs_restart ')" 0
ok "it stops" stack_end pool

done_testing
