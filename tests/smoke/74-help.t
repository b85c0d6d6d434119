#!/usr/bin/env bash
#
# Help: of every command, fit for a screen, and near misses.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

# darkroom WORD...: sets `said` and `status`.
darkroom() {
    said=$(timeout 10 env -i "$BUILD/darkroom" "$@" 2>&1 </dev/null)
    status=$?
}

# fits NAME: a screen has 24 lines of 80 columns.
fits() {
    is "$1 is help" $status 0
    is "$1 fits a screen" "$(awk 'length > 80 { wide++ }
        END { print (NR <= 24 && !wide) ? "yes" : NR " lines" }' \
        <<<"$said")" yes
}

darkroom --help
fits "darkroom --help"
commands=$(sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' <<<"$said")
ok "it lists the commands" [ "$(wc -l <<<"$commands")" -ge 8 ]
for command in $commands; do
    darkroom "$command" --help
    fits "$command --help"
    like "$command --help says how to call it" "$said" \
        "^usage: darkroom $command"
done

darkroom jbos
is "a command that does not exist is an error" $status 64
like "that names the one that was meant" "$said" "did you mean 'jobs'"
darkroom frobnicate
ok "if one is near" [ "${said/did you mean/}" = "$said" ]
darkroom
is "no command is an error, too" $status 64
like "that lists them" "$said" "usage: darkroom COMMAND"

done_testing
