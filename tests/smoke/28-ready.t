#!/usr/bin/env bash
#
# /readyz tells the truth: 503 and the reason while the pool does not get on,
# and 200 again when it does. All four reasons, one pool.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_photo
smoke_must stack_nginx
smoke_must stack_sim

# One picture at a time, and a state directory of its own of 160 MB that only
# the pool sees (22-refuse.t).
export DARKROOM_SERVER_MAX_TRANSFERS=1
namespace=(unshare --mount)
[ "$(id -u)" -eq 0 ] || namespace+=(--map-root-user)
# shellcheck disable=SC2016 # for the inner shell
small_disk='mount -t tmpfs -o size=160m tmpfs state && exec "$0" "$@"'
"${namespace[@]}" sh -c "cd '$stack_dir' && $small_disk" true 2>/dev/null &&
    stack_pool_prefix=("${namespace[@]}" sh -c "$small_disk")
smoke_must stack_pool 1
inside=$stack_dir/state
[ ${#stack_pool_prefix[@]} -eq 0 ] ||
    inside=/proc/${stack_pids[pool]}/root$stack_dir/state

# Status and reasons: "200" or "503 disk labs".
readyz() {
    stack_curl /readyz -o "$stack_dir/lines" -w '%{http_code}' && echo
    sed -n 's/^\([a-z]*\): .*/ \1/p' "$stack_dir/lines" | tr -d '\n'
}
readyz_is() {
    [ "$(readyz | tr -d '\n')" = "$1" ]
}
readyz_names() {
    [[ "$(readyz | tr -d '\n') " == "503 "*"$1 "* ]]
}
readyz_forgets() {
    [[ "$(readyz | tr -d '\n') " != *" $1 "* ]]
}

ok "it is ready" readyz_is 200

# ---- labs that die as soon as they start

labs_die() {
    local worker keeper lab

    worker=$(stack_workers | head -n 1)
    keeper=$(pgrep --parent "$worker")
    for lab in $(pgrep --parent "$keeper"); do
        kill -KILL "$lab" 2>/dev/null
    done
    readyz_names labs
}
ok "labs are killed and killed again: 503" stack_until 10 labs_die
ok "the log names it" [ "$(log_count ' event=lab_lost ')" -gt 5 ]

# ---- nothing ends: the first picture takes its time, the other has to wait

send_photo "$photo" '{"count": 2, "behaviour": {"rate_bytes_s": 4000}}' \
    >/dev/null
ok "a picture is slow" wait_log 10 ' event=fetching '

# ---- a full disk

if [ ${#stack_pool_prefix[@]} -gt 0 ]; then
    head -c 200M /dev/zero >"$inside/ballast" 2>/dev/null
    ok "the disk is full: 503" stack_until 5 readyz_names disk
    rm "$inside/ballast"
    ok "there is room again" stack_until 5 readyz_forgets disk
else
    diag "not run: a full disk; there are no name spaces here"
fi

# ---- a queue that does not answer

ok "the queue is locked" hold_lock "$inside/queue.db.gate"
ok "it is silent: 503" stack_until 15 readyz_names queue
is "the status page's data is there nevertheless" \
    "$(stack_curl /darkroom/status.json | jq -c '[.ready, (.jobs | type)]')" \
    '[false,"array"]'
let_go
ok "it answers again" stack_until 5 readyz_forgets queue

# ---- what has passed is forgotten, what is due is not

ok "the labs' deaths are forgotten" stack_until 30 readyz_forgets labs
ok "a job is due for long and none ends: 503" \
    stack_until 45 readyz_is "503 stalled"
like "/metrics says so, too" "$(stack_curl /metrics)" $'\ndarkroom_ready 0\n'
for message in $(sim_get state | jq -r '.photos[].message_id'); do
    sim_post behaviour "{\"message_id\": \"$message\",
        \"content\": {\"rate_bytes_s\": 100000000}}" >/dev/null
done
ok "its worker is killed" kill -KILL "$(log_field ' event=fetching ' pid)"
ok "the pictures are answered" wait_log 20 ' event=(replied|told|pushed) ' 2
ok "it is ready again" stack_until 5 readyz_is 200
ok "the pool ends" stack_end pool
done_testing
