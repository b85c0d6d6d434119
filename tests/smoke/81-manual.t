#!/usr/bin/env bash
#
# The manual pages are sound, and say what the program says of itself: every
# command, every option of it, every setting, and nothing else.

. "$(dirname "$0")/../lib/smoke.sh"
set -u
cd "$(dirname "$0")/../.." || exit 1

smoke_init
page=fcgi/darkroom.8

# Pages of others that are not installed here are no fault of ours.
is "mandoc finds nothing wrong" "$(mandoc -Tlint -Wstyle fcgi/darkroom.8 \
    fcgi/darkroom.conf.5 2>&1 | grep '^mandoc: fcgi/' |
    grep -v 'referenced manual not found')" ""
is "the settings are those of the program" \
    "$(sed -n '/^\.\\" Settings, by/,/^\.\\" End of/{//!p}' \
        fcgi/darkroom.conf.5)" "$(scripts/man-settings --print)"

# said COMMAND...: its help on standard output, in success.
said() {
    timeout 10 env -i "$BUILD/darkroom" "$@" --help \
        </dev/null 2>"$stack_dir/err"
}

# section COMMAND: of darkroom(8).
section() {
    awk -v want=".Ss darkroom $1" '
        /^\.S[sh] / { inside = $0 == want }
        inside' $page
}

# In the page an option is `.Fl -name`; a remark may name another one's.
options_of_page() {
    section "$1" | grep -oE '^\.It .*' | grep -oE 'Fl -[a-z-]+' |
        sed 's/Fl -/--/' | sort -u
}

# Of the usage lines and of the list; the text may mention another command's.
options_of_help() {
    said "$1" | sed -n '1,/^$/p; /^  -/p; $s/.*/--help/p' |
        grep -oE -- '--[a-z][a-z-]*' | sort -u
}

commands=$(said | sed -n 's/^  \([a-z]*\) .*/\1/p')
is "a section of the manual for each command" \
    "$(sed -n 's/^\.Ss darkroom //p' $page)" "$commands"
for command in $commands; do
    ok "$command --help succeeds" said "$command"
    is "and is all on standard output" "$(<"$stack_dir/err")" ""
    like "and says how it is called" "$(said "$command" | head -n 1)" \
        "^usage: darkroom $command"
    ok "within 80 columns and one screen" sh -c \
        'awk "length > 80 { exit 1 } END { exit NR > 40 }"' \
        < <(said "$command")
    is "$command: the manual has its options" "$(options_of_page "$command")" \
        "$(options_of_help "$command")"
    like "the synopsis has it" "$(sed -n '/SYNOPSIS/,/DESCRIPTION/p' $page)" \
        "\.Cm $command"
done

done_testing
