#!/usr/bin/env bash
#
# SIGTERM under load: to one worker, then to all. Nothing is lost.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

photos=60

smoke_start 3
smoke_photo

# LINE sends again what was not answered with 200.
request=$(jq -cn --arg file "$photo" --argjson count $photos \
    '{file: $file, count: $count, parallel: 10, redeliver_on_error: true,
      redelivery_interval_ms: 200, redeliveries: 100,
      behaviour: {rate_bytes_s: 400000}}')
sim_post photo "$request" >/dev/null

ok "some are being worked on" wait_log 10 ' event=transcoding ' 5
worker=$(log_field ' event=transcoding ' pid)

# Signals 32 and 33 are the C library's, 9 and 19 cannot be blocked.
is "no thread but the first takes signals" "$(sed -n 's/^SigBlk:\s*//p' \
    "/proc/$worker/task"/*/status | grep -vcx fffffffe7ffbfeff)" 1
ok "SIGHUP is sent" kill -HUP "$worker"
ok "and stops nothing" wait_log 5 " pid=$worker event=reloaded "
ok "one worker is told to stop" kill -TERM "$worker"
ok "it stops by itself" wait_log 15 " pid=$worker event=stopped"
ok "all are told to stop, and stop by themselves" stack_end pool
is "each said that it stopped" "$(log_count ' event=stopping')" \
    "$(log_count ' event=stopped')"
smoke_must stack_pool 3
wait_replied $photos 60
state_is "all photos are answered" .totals.answered $photos
state_is "each once" '[.photos[].replies] | unique' '[1]'
state_is "with good pictures" .totals.images_good $photos
state_is_lawful
is "none was given up" "$(log_count ' event=dead ')" 0

# ---- a worker that did not hear that it is to stop

# As multiwatch, but for the signal, which it keeps to itself.
mkdir "$stack_dir/bin"
cat >"$stack_dir/bin/multiwatch" <<'END'
#!/bin/bash
trap : TERM
while [ "$1" != -- ]; do shift; done
"${@:2}" <&0 &
while kill -0 $! 2>/dev/null; do wait $!; done
END
chmod +x "$stack_dir/bin/multiwatch"
stack_end pool
PATH=$stack_dir/bin:$PATH smoke_must stack_pool 1
ok "it is told again" stack_end pool

# ---- a pool that is not to start

echo mine >"$stack_dir/file"
said=$(timeout 5 "$stack_top/scripts/pool" "$stack_dir/file" 1 2>&1)
is "a file is no socket" $? 2
like "which is said" "$said" "file' is there and is no socket"
is "and is left alone" "$(cat "$stack_dir/file")" mine
for workers in 0 -1 abc '1 2'; do
    timeout 5 "$stack_top/scripts/pool" "$stack_dir/new.sock" "$workers" \
        2>/dev/null
    is "'$workers' workers are refused" $? 2
done

done_testing
