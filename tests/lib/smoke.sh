# smoke.sh: what the smoke tests share. Sourced first.
#
#   . "$(dirname "$0")/../lib/smoke.sh"
#
# Gives the test a directory ($stack_dir) below TMPDIR and the functions of
# tap.sh and scripts/stack.sh. However the test ends, what it started is
# stopped; a test that leaves a process or needs SIGKILL has failed.
#
# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are for the caller

smoke_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/lib/tap.sh
. "$smoke_top/tests/lib/tap.sh"
# shellcheck source=scripts/stack.sh
. "$smoke_top/scripts/stack.sh"

# The real channel of whoever runs the tests is none of their business, nor is
# an installed darkroom's file.
export DARKROOM_CONFIG=
unset LINE_CHANNEL_SECRET LINE_CHANNEL_ACCESS_TOKEN PUBLIC_URL
stack_secret=0f1e2d3c4b5a69788796a5b4c3d2e1f0
stack_token=simulated-access-token

smoke_name=$(basename "$0" .t)

smoke_end() {
    local status=$?

    # An impatient second Ctrl-C, or a prove that is gone already.
    trap '' INT TERM HUP PIPE
    trap - EXIT
    stack_stop || status=1
    exit $status
}

smoke_must() {
    "$@" || {
        tap_fail "set-up: $*"
        done_testing
        exit 1
    }
}

smoke_init() {
    trap smoke_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    smoke_must stack_init \
        "$(mktemp -d -p "${TMPDIR:-/tmp}" "$smoke_name.XXXXXX")"
}

# smoke_start [WORKERS]: all of it.
smoke_start() {
    smoke_init
    smoke_must stack_nginx
    smoke_must stack_sim
    smoke_must stack_pool "${1:-2}"
}

# A photo of one megapixel (1224 x 918, 300 KB), as LINE sends them: baseline,
# quality 85. Made once per run of the tests. Sets `photo` and `photo_bytes`.
smoke_photo() {
    photo=${TMPDIR:-/tmp}/photo-1mp.jpg
    if [ ! -s "$photo" ]; then
        djpeg -scale 3/8 \
            /usr/share/backgrounds/picosdeeuropa_by_Aitzol_Berasategi.jpg |
            cjpeg -quality 85 >"$photo.$$"
        mv "$photo.$$" "$photo"
    fi
    photo_bytes=$(stat -c %s "$photo")
}

# sim_post CALL JSON, sim_get CALL: the simulator's control calls.
sim_post() {
    curl -s --max-time 60 -d "$2" "$stack_sim_url/sim/$1"
}

sim_get() {
    curl -s --max-time 120 "$stack_sim_url/sim/$1"
}

# send_photo FILE [MEMBERS]: the simulator sends a photo and waits for the
# answer to the webhook; MEMBERS is a JSON object of more members of the call.
# Prints the simulator's report.
send_photo() {
    sim_post photo "$(jq -cn --arg file "$1" --argjson more "${2:-{\}}" \
        '{file: $file, wait: true} + $more')"
}

# wait_replied COUNT [SECONDS]: until so many photos in all are answered and
# their pictures fetched and decoded by the simulator. Sets `state`, whatever
# comes of it.
wait_replied() {
    state=$(sim_get "wait?replied=$1&timeout_ms=$((${2:-30} * 1000))")
}

# state_is NAME FILTER WANTED: what jq makes of `state`.
state_is() {
    is "$1" "$(jq -c "$2" <<<"$state")" "$3"
}

# Nothing that the bot did is against LINE's rules.
state_is_lawful() {
    state_is "no rule of LINE's is broken" .violations '[]'
}

# log_count PATTERN: lines of the pool's log that match.
log_count() {
    grep -cE "$1" "$stack_dir/pool.log" || true
}

# wait_log SECONDS PATTERN [COUNT]: until so many lines of the log match.
smoke_log_has() {
    [ "$(log_count "$1")" -ge "$2" ]
}
wait_log() {
    stack_until "$1" smoke_log_has "$2" "${3:-1}"
}

# log_field PATTERN FIELD: the field in the first line that matches.
log_field() {
    grep -m 1 -E "$1" "$stack_dir/pool.log" |
        sed -nE "s/.* $2=(\"([^\"]*)\"|([^ \"]*)).*/\2\3/p"
}

# signature_of SECRET: of the bytes on stdin.
signature_of() {
    openssl dgst -sha256 -hmac "$1" -binary | base64
}

# hold_lock FILE: its lock is held, as by a backup, until let_go.
hold_lock() {
    rm -f "$stack_dir/locked"
    perl -e 'use Fcntl qw(:DEFAULT :seek);
        open(my $file, "+<", $ARGV[0]) or die "$ARGV[0]: $!";
        my $lock = pack("ssx4qqix4", F_WRLCK, SEEK_SET, 0, 0, 0);
        fcntl($file, F_SETLKW, $lock) or die $!;
        open(my $ready, ">", $ARGV[1]) or die $!;
        close $ready;
        sleep 60;' "$1" "$stack_dir/locked" &
    smoke_holder=$!
    stack_until 5 test -e "$stack_dir/locked"
}

let_go() {
    kill "$smoke_holder"
    wait "$smoke_holder" 2>/dev/null
}
