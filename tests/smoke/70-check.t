#!/usr/bin/env bash
#
# `darkroom check` on a set-up that works: every line passes, nothing is left
# behind, and programs can read it. What it says of mistakes: 75-mistakes.t.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start 1
export DARKROOM_LINE_CA_FILE=$stack_dir/cert.pem
files() {
    find "$stack_dir/state/public" -type f | sort
}
before=$(files)

# check [OPTION...]: sets `said` and `status`.
check() {
    said=$(timeout 60 "$BUILD/darkroom" check "$@" 2>&1 </dev/null)
    status=$?
}

check
is "a set-up that works passes" $status 0
is "with no failure" "$(grep -c '^fail' <<<"$said")" 0
for line in secrets directories disk queue jail published workers token clock \
    webhook 'webhook test' destination; do
    like "$line is looked at" "$said" "pass  $line "
done
like "LINE's test alone tells whom webhooks are for" "$said" \
    "pass  destination  default: the last webhook was for this bot"
like "the bot is named" "$said" 'destination U[0-9a-f]{32}'
like "and the sum is told" "$said" '[0-9]+ passed, 0 failed'
is "no file of it is left" "$(files)" "$before"

check --json
is "for programs, too" "$(jq -r '.ok, ([.checks[] |
    select(.result == "pass")] | length >= 10)' <<<"$said")" "true
true"
is "and so is whom webhooks are for" "$(jq -r '.checks[] |
    select(.name == "destination") | .channel, .result' <<<"$said")" "default
pass"
ok "without the token" [ "${said/$stack_token/}" = "$said" ]

# What is known of webhooks is the workers' to write.
DARKROOM_SERVER_STATE_DIR=$stack_dir/none \
    DARKROOM_QUEUE_URL=sqlite:$stack_dir/state/queue.db \
    DARKROOM_STORE_URL=dir:$stack_dir/state/public check
is "where no worker wrote nothing fails" $status 0
like "nor is a destination known" "$said" \
    "skip  destination  default: no webhook of LINE's is remembered yet"
ok "and nothing is made" [ ! -e "$stack_dir/none" ]

calls=$(sim_get state | jq .totals.webhooks_sent)
check --offline
# Whether others may enter depends on where the checkout lies.
is "offline it passes, too" "$(grep '^fail' <<<"$said" | grep -v access)" ""
like "and says what it left out" "$said" 'skip  line .*--offline'
is "LINE heard nothing of it" "$(sim_get state | jq .totals.webhooks_sent)" \
    "$calls"

wait_replied 0
state_is_lawful

# ---- arguments

PUBLIC_URL=http://bot.example.com check --json 2>/dev/null
is "settings that are wrong are another failure" $status 78
like "for programs, too" "$said" '"ok":false'
check --ofline
is "a wrong option is an error" $status 64
like "that is named" "$said" "'--ofline' is not an option of check"
check more
is "and so is a word too many" $status 64

# ---- root works as the owner of the state directory

if [ "$(id -u)" -eq 0 ]; then
    mkdir "$stack_dir/other"
    chown www-data: "$stack_dir/other"
    chmod 755 "$stack_dir" "${TMPDIR:-/tmp}" 2>/dev/null
    if runuser -u www-data -- test -w "$stack_dir/other"; then
        DARKROOM_SERVER_STATE_DIR=$stack_dir/other/state check --offline
        mkdir "$stack_dir/other/state"
        mkdir "$stack_dir/other/state/public"
        chown -R www-data: "$stack_dir/other"
        DARKROOM_SERVER_STATE_DIR=$stack_dir/other/state check --offline
        is "as root it makes no file of root's" \
            "$(find "$stack_dir/other" -user root)" ""
    else
        diag "not run: www-data cannot enter $stack_dir"
    fi
else
    diag "not run: only root can become the owner of the state directory"
fi

done_testing
