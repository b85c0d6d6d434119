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

# ---- an option without an effect is a mistake

# refuses COMMAND VERB OPTION [VALUE]
refuses() {
    darkroom "$@"
    is "$1 $2 takes no $3" "$status:$(head -n 1 <<<"$said")" \
        "64:darkroom $1: $1 $2 takes no $3"
}
refuses jobs list --force
refuses jobs watch --limit 3
refuses jobs watch --reason x
refuses jobs show --state "done" 1
refuses jobs retry --state dead 1
refuses jobs retry --json 1
refuses jobs drop --since 1d 1
refuses jobs drop --force 1
refuses webhook show --url https://bot.example.com
refuses webhook set --json

# ---- what is quoted does not speak to the terminal

# An escape sequence, a C1 control, a byte of no character.
raw=$'a\x1b[31mb\xc2\x9bc\xff'
clean='a [31mb c?'
photo=$TMPDIR/$raw
printf 'no picture' >"$photo"
export LINE_CHANNEL_SECRET=s LINE_CHANNEL_ACCESS_TOKEN=t \
    PUBLIC_URL=https://bot.example.com
quotes() {
    local call=${*//"$raw"/RAW}

    said=$(timeout 10 "$BUILD/darkroom" "$@" 2>&1 </dev/null)
    ok "$call: it is quoted clean" grep -qF "$clean" <<<"$said"
    is "$call: and not as it is" \
        "$(LC_ALL=C grep -c $'[\x1b\x9b\xff]' <<<"$said")" 0
}
quotes "$raw"
quotes check "$raw"
quotes check "--$raw"
quotes jobs "$raw"
quotes jobs list --state "$raw"
quotes jobs list "$raw"
quotes janitor "$raw"
quotes purge "$raw"
quotes purge --message 1 --channel "$raw"
quotes webhook "$raw"
quotes webhook show --channel "$raw"
quotes convert "$photo.none" "$TMPDIR/out.png"
quotes convert "$photo" "$TMPDIR/out.png"
rm "$photo"

done_testing
