#!/usr/bin/env bash
#
# Settings from a file: what is told of a good and of a bad one, and that the
# example, the README and the table of settings agree.

. "$(dirname "$0")/../lib/smoke.sh"
set -u
cd "$(dirname "$0")/../.." || exit 1

smoke_init
example=scripts/darkroom.conf
conf=$stack_dir/a.conf

# clean COMMAND...: darkroom with nothing else in the environment; sets `said`.
clean() {
    said=$(timeout 10 env -i DARKROOM_CONFIG= "$BUILD/darkroom" "$@" 2>&1 \
        </dev/null)
    status=$?
}

cat >"$conf" <<END
[server]
public_url = https://bot.example.com
state_dir = $stack_dir/state
[channel shop]
secret = hush1
access_token = hush2
failure_text = 抱歉
END

clean check --settings --config "$conf"
is "a good file is good" $status 0
like "a value of the file is shown with its line" "$said" \
    "public_url = https://bot.example.com *# $conf:2"
like "a default as such" "$said" 'acceptors = 4 *# default'
like "and that a secret is set" "$said" 'secret = \(set\) *# .*:5'
like "and the address for LINE's console" "$said" \
    '\[channel shop\] *# webhook https://bot.example.com/webhook'
like "and that there was a file" "$said" \
    'settings: ok, from the file and the environment, 1 channel, pictures at'
ok "no secret is shown" [ "${said/hush/}" = "$said" ]
clean check --settings
like "what is missing has the names of LINE's samples" "$said" \
    'LINE_CHANNEL_SECRET and LINE_CHANNEL_ACCESS_TOKEN: missing'
like "each with what it is" "$said" 'PUBLIC_URL: missing, the https address'
like "and files are heard of" "$said" 'no file was given: --config FILE or'
said=$(env -i LINE_CHANNEL_SECRET=hush "$BUILD/darkroom" check --settings 2>&1)
like "also if one of them is there" "$said" \
    'no access_token, LINE_CHANNEL_ACCESS_TOKEN, and no channel_id'
clean jobs list
is "without a file nothing works" $status 78
like "and it says how to name one" "$said" \
    'no file was given: --config FILE or DARKROOM_CONFIG names one$'
clean check --settings --config "$conf" --json
is "the same for programs" "$(jq -r '.ok, (.settings[] |
    select(.section == "channel shop" and .source == "file") |
    "\(.key) \(.set) \(.value) \(.line)")' <<<"$said")" "true
secret true null 5
access_token true null 6
failure_text null 抱歉 7"
ok "no secret there either" [ "${said/hush/}" = "$said" ]

said=$(env -i DARKROOM_CONFIG="$conf" DARKROOM_SERVER_ACCEPTORS=9 \
    "$BUILD/darkroom" check --settings 2>&1)
like "the environment names the file, and wins" "$said" \
    'acceptors = 9 *# DARKROOM_SERVER_ACCEPTORS'

sed -i 's/^public_url/publicurl/; s/^secret.*/late = busy/' "$conf"
clean serve --config "$conf"
is "with a bad file it does not start" $status 78
like "and says where and what was meant" "$said" \
    "$conf:2: .*'publicurl'; did you mean public_url"
like "and all that is wrong at once" "$said" "channel shop: no secret"
like "also what does not fit together" "$said" "$conf:5: late: "
clean check --settings --config "$conf"
is "check says the same" $status 78
clean check --settings --config "$conf" --json
is "and for programs" "$(jq -c '[.ok, (.errors | length)]' <<<"$said")" \
    '[false,4]'
clean check --settings --config /nonexistent
is "a file that is not there is an error" $status 78
is "and the only one that is told" "$said" "/nonexistent: not found"
clean check --settings --config "$stack_dir"
is "so is a directory" "$said" "$stack_dir: Is a directory"
mkfifo "$stack_dir/fifo"
clean check --settings --config "$stack_dir/fifo"
is "and a pipe that nobody writes to" "$said" \
    "$stack_dir/fifo: No data available"
clean check --settings --config <(cat "$conf")
is "one that somebody writes to is read" $status 78
like "as any file" "$said" ":2: .*'publicurl'"
printf '[channel a]\nsecret = hu\0sh\n\033[31m = 1\n' >"$stack_dir/nul.conf"
clean check --settings --config "$stack_dir/nul.conf"
like "a value with a NUL is not cut" "$said" "nul.conf:2: a byte of value 0"
like "nor does a file speak to the terminal" "$said" "setting ' \[31m'"
printf '%s\n' '[server]' "state_dir = $stack_dir/state # here" \
    '[channel a]' "secret = 'hush'" 'access_token = "hush"' \
    >"$stack_dir/quotes.conf"
clean check --settings --config "$stack_dir/quotes.conf"
is "quotes and remarks are not taken for values" \
    "$(grep -cE ':(4|5): .* quotes$|:2: .* a line of its own$' <<<"$said")" 3
said=$(env -i PUBLIC_URL='https://a.example/?b' DARKROOM_CHANNEL__SECRET=x \
    DARKROOM_LINE_API_URL=https://ü.example \
    "$BUILD/darkroom" check --settings 2>&1)
like "an address that is to be prolonged has no query" "$said" \
    "PUBLIC_URL: .*: paths are put behind it"
like "nor characters of no URL" "$said" "DARKROOM_LINE_API_URL: .*xn--"
is "and nobody meant what he wrote" "$(grep -c 'did you mean' <<<"$said")" 0
clean check --confg x
is "so is a wrong option" $status 64

clean check --list-settings --json
keys=$(jq -r '.settings[] | .section + " " + .key' <<<"$said")
ok "there are settings" [ "$(wc -l <<<"$keys")" -gt 30 ]
is "an age is said with its bounds" "$(jq -r \
    '.settings[] | select(.key == "keep_done").values' <<<"$said")" \
    "1d to 3650d, forever"
is "none twice" "$(sort <<<"$keys" | uniq -d)" ""
clean check --list-settings
is "the example has them all" "$said" "$(<$example)"

# With each line of it in force that has a value. The least that has none is
# added; what cannot be together (late = ... without push) is no default.
sed -n 's/^#\([a-z_]* = .\)/\1/; /^#/!p' $example |
    sed "s|^\[server\]|&\npublic_url = https://a.example|
        s|^\[channel default\]|&\nsecret = s\naccess_token = t|
        s|^state_dir = .*|state_dir = $stack_dir/state|" >"$conf"
clean check --settings --config "$conf"
is "and they can be set to what it says" $status 0
is "every one with a default" "$(grep -c "# $conf:" <<<"$said")" \
    "$(grep -c ' = ' "$conf")"

# The README's table: rows of a section follow its name.
is "the README has them all, and no other" "$(sed -n \
    '/^## Settings/,/^## /p' README.md | awk -F '`' '
    /^\| \*\*\[/ { gsub(/[^a-z]/, "", $0); section = $0 }
    /^\| `/ { print section, $2 }')" "$keys"

done_testing
