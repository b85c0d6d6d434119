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

# The real channel of whoever runs the tests is none of their business.
unset LINE_CHANNEL_SECRET LINE_CHANNEL_ACCESS_TOKEN PUBLIC_URL
stack_secret=0f1e2d3c4b5a69788796a5b4c3d2e1f0
stack_token=simulated-access-token

smoke_name=$(basename "$0" .t)
smoke_photos=/usr/share/backgrounds

smoke_end() {
    local status=$?

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
