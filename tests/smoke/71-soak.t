#!/usr/bin/env bash
#
# A soak: SOAK (default 2000) webhooks, 5 % of each fault, and workers that are
# killed meanwhile. Each photo ends with one receipt, and the right one.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

count=${SOAK:-2000}

tool() {
    "$smoke_top/tests/tool/soak.py" "$1" "$stack_sim_url" \
        "$stack_dir/state" "${@:2}"
}

# A worker dies: of those that live, the one that fetched last.
kill_a_worker() {
    local pid

    for pid in $(tac "$stack_dir/pool.log" |
        sed -nE 's/.* pid=([0-9]+) event=fetching .*/\1/p' |
        awk '!seen[$0]++'); do
        ! kill -KILL "$pid" 2>/dev/null || return 0
    done
    return 1
}

smoke_init
export DARKROOM_CHANNEL_DEFAULT_PUSH=on
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 2
smoke_photo
small=$stack_dir/small.jpg
djpeg -scale 4/8 "$photo" | cjpeg -quality 85 >"$small"

begun=$SECONDS
tool run "$small" "$count" &
run_pid=$!
for seconds in 4 4 8; do
    sleep $seconds
    ok "a worker is killed" kill_a_worker
done
wait $run_pid
is "all are sent" $? 0
while IFS=$'\t' read -r name got wanted; do
    is "$name" "$got" "$wanted"
    case $name in
    *,*) diag "$name" ;;
    esac
done < <(tool judge)
diag "$count webhooks in $((SECONDS - begun)) s"

done_testing
