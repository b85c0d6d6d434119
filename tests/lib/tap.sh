# tap.sh: tests in shell that speak TAP. Sourced.
#
#   ok NAME COMMAND...      passes if the command succeeds
#   is NAME GOT WANTED      passes if the texts are equal
#   like NAME GOT PATTERN   passes if the text matches the extended regex
#   diag TEXT...            a remark, shown by prove also without -v
#   done_testing            the plan; the last line of a test script
#
# shellcheck shell=bash

tap_count=0
tap_failed=0

# What a command says, in a file that has no name any more: a command
# substitution would run the command in a shell of its own.
tap_output=$(mktemp)
exec {tap_fd}<>"$tap_output"
rm "$tap_output"
tap_output=/proc/$$/fd/$tap_fd

diag() {
    printf '%s\n' "$*" | cut -c 1-400 | sed 's/^/# /' >&2
}

tap_pass() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s\n' $tap_count "$1"
}

tap_fail() {
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' $tap_count "$1"
    diag "failed: $1"
}

ok() {
    local name=$1

    shift
    if "$@" >"$tap_output" 2>&1; then
        tap_pass "$name"
    else
        tap_fail "$name"
        diag "command: $*"
        [ ! -s "$tap_output" ] || diag "$(<"$tap_output")"
    fi
}

is() {
    if [ "$2" = "$3" ]; then
        tap_pass "$1"
    else
        tap_fail "$1"
        diag "got:    $2"
        diag "wanted: $3"
    fi
}

like() {
    if [[ $2 =~ $3 ]]; then
        tap_pass "$1"
    else
        tap_fail "$1"
        diag "got:    $2"
        diag "wanted: $3 (a pattern)"
    fi
}

done_testing() {
    printf '1..%d\n' $tap_count
    [ $tap_failed -eq 0 ]
}
