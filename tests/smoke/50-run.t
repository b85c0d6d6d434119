#!/usr/bin/env bash
#
# What a new user sees: scripts/run, with and without --once.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
export RUN=$stack_dir/run

# The programs are built, and may be others than make would build.
mkdir "$stack_dir/bin"
printf '#!/bin/sh\n' >"$stack_dir/bin/make"
chmod +x "$stack_dir/bin/make"
PATH=$stack_dir/bin:$PATH

run() {
    said=$("$smoke_top/scripts/run" "$@" 2>&1 </dev/null)
    status=$?
}

# ---- one photo

run --once
is "--once succeeds" "$status" 0
like "it tells when transcoding began" "$said" \
    "transcoding starts at byte [0-9,]+ of 899,716"
like "and that the reply was delivered" "$said" "reply delivered"
like "it names the photographer" "$said" "by Abhishek Mudgal"
is "it gives two URLs" \
    "$(grep -cE '^ +https://127.0.0.1:[0-9]+/static/.*\.png$' <<<"$said")" 2
is "both decode" "$(grep -c 'bytes, decodes' <<<"$said")" 2
ok "no colours for a pipe" [ "${said/$'\e'/}" = "$said" ]
is "no line is longer than a terminal" \
    "$(awk 'length > 79 && !/https/' <<<"${said//$RUN/run}")" ""

PHOTO=$smoke_top/LICENSE run --once
is "--once fails if there is no reply" "$status" 1
like "and says why" "$said" "given up.*: not a picture"

PHOTO=$stack_dir/none run --once
is "a picture that is not there" "$status" 1
like "is named" "$said" "can not read $stack_dir/none"

LINE_CHANNEL_SECRET=s run
is "half a channel" "$status" 1
like "what is missing is named" "$said" \
    "not set: LINE_CHANNEL_ACCESS_TOKEN PUBLIC_URL"

# ---- until it is told to stop

said_so_far() {
    grep -q "$1" "$stack_dir/said"
}

"$smoke_top/scripts/run" >"$stack_dir/said" 2>&1 </dev/null &
runner=$!
ok "it stays up" stack_until 30 said_so_far "^Up"
smoke_photo
command=$(sed -n 's/.*another photo: *\(.*\) FILE$/\1/p' "$stack_dir/said")
ok "the command that it names sends another photo" \
    bash -c "cd '$smoke_top' && $command '$photo' >/dev/null"
ok "with a line for each picture" stack_until 20 said_so_far \
    "replied after [0-9]* ms  1224 x 918"
# Those of the quick start for a second terminal, at this one's places.
commands=$(sed -n '/^export SIM_PORT_FILE/,/^```/p' \
    "$smoke_top/scripts/docs/quick-start.md" | sed "/^\`\`\`/d
    s,run/sim/,$RUN/sim/,
    s,https://127.0.0.1:[0-9]*,$(grep -o 'https://127[0-9.:]*' \
    "$stack_dir/said" | head -n 1),")
ok "there are commands in the quick start" [ -n "$commands" ]
said=$(cd "$smoke_top" && bash -eu -c "$commands" 2>&1)
is "they work" $? 0
like "to the last" "$said" 'ok$'
mapfile -t family < <(stack_family $runner)
kill -TERM $runner
wait $runner
is "it stops when told to" $? 0
is "and with it all it started" "$(stack_left "${family[@]}")" ""

# What it remembers of the first time is not in the way of the second.
"$smoke_top/scripts/run" >"$stack_dir/said" 2>&1 </dev/null &
runner=$!
ok "a photo is answered the second time, too" stack_until 30 said_so_far \
    "reply delivered"
kill -TERM $runner
wait $runner

done_testing
