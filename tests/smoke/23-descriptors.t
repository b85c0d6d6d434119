#!/usr/bin/env bash
#
# Too few descriptors: a request waits until there is one, and the log says so.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx
smoke_must stack_pool 1

worker=$(pgrep --parent "${stack_pids[pool]}")

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

done_testing
