#!/usr/bin/env bash
#
# The bots of scripts/examples around a real darkroom: behind it (forward_url),
# where they check LINE's own signature, and beside it (processor_url), where
# they choose the answer. One channel each for Python and JavaScript.

. "$(dirname "$0")/../lib/smoke.sh"
. "$(dirname "$0")/../lib/npm.sh"
set -u

# start NAME PROGRAM [PORT]: an example; sets `url` to where it listens.
listens() {
    grep -q '^listening on ' "$stack_dir/$1.log"
}
start() {
    local runner=node

    [ "${2##*.}" != py ] || runner=python3
    : >"$stack_dir/$1.log"
    stack_spawn "$1" env PORT="${3:-0}" LINE_CHANNEL_SECRET=$stack_secret \
        "$runner" "$stack_dir/examples/$2"
    stack_until 15 listens "$1" || {
        tail -n 5 "$stack_dir/$1.log" >&2
        return 1
    }
    url=$(sed -n 's/^listening on //p' "$stack_dir/$1.log")
}

# says SECONDS NAME LINE: whether the example prints this line.
has_line() {
    grep -qxF -- "$2" "$stack_dir/$1.log"
}
says() {
    stack_until "$1" has_line "$2" "$3"
}

# text CHANNEL TEXT: a webhook with a text message; prints its status.
texts=0
text() {
    local events

    texts=$((texts + 1))
    events=$(jq -cn --arg text "$2" --arg id "60000000000000080$texts" '[{
        type: "message", mode: "active", timestamp: 1790000000123,
        source: {type: "user", userId: "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        webhookEventId: "01K2A00000000000000000T\($id[-3:])",
        deliveryContext: {isRedelivery: false},
        replyToken: "t0t0t0t0t0t0t0t0t0t0t0t0t0t0t\($id[-3:])",
        message: {type: "text", id: $id, text: $text}}]')
    sim_post webhook "{\"events\": $events,
        \"channel_path\": \"/webhook/$1\"}" | jq -c .status
}

# photo CHANNEL: sends one, and waits for the answer; sets `state`, `message`.
photos=0
photo() {
    photos=$((photos + 1))
    message=$(send_photo "$photo" "{\"channel_path\": \"/webhook/$1\"}" |
        jq -r .photos[0].message_id)
    wait_replied $photos
}

# of FILTER: for the photo sent last.
of() {
    jq -c ".photos[] | select(.message_id == \"$message\") | $1" <<<"$state"
}

smoke_init
smoke_must npm_install
smoke_must ln -s "$npm_modules" "$stack_dir/node_modules"
smoke_must cp -r "$smoke_top/scripts/examples" "$stack_dir/examples"
smoke_must stack_nginx
smoke_must stack_sim
declare -A bot_port=()
for kind in py mjs; do
    upper=DARKROOM_CHANNEL_${kind^^}
    export "${upper}_SECRET=$stack_secret" "${upper}_ACCESS_TOKEN=$stack_token"
    smoke_must start "bot-$kind" "bot.$kind"
    bot_port[$kind]=$(grep -oE '[0-9]+/$' <<<"$url" | tr -d /)
    export "${upper}_FORWARD_URL=$url"
    smoke_must start "processor-$kind" "processor.$kind"
    export "${upper}_PROCESSOR_URL=$url"
done
smoke_must stack_pool 2
smoke_photo

for kind in py mjs; do
    is "$kind: a text message: 200" "$(text $kind "hello, $kind")" 200
    ok "$kind: the bot behind takes it" says 15 "bot-$kind" \
        "message hello, $kind"

    photo $kind
    is "$kind: a photo is answered once" "$(of .replies)" 1
    is "$kind: with the picture" "$(of .verdict)" '"ok"'
    is "$kind: and with the processor's words" "$(of .texts)" 1
    ok "$kind: the bot behind has the photo's webhook, too" \
        says 15 "bot-$kind" "message "

    stack_end "bot-$kind"
    is "$kind: the bot is down: 200" "$(text $kind "one")" 200
    is "$kind: and once more" "$(text $kind "two")" 200
    ok "$kind: it is tried again" wait_log 15 \
        " event=forward_failed .* channel=$kind "
    ok "$kind: the bot comes back" \
        start "bot-$kind" "bot.$kind" "${bot_port[$kind]}"
    ok "$kind: it gets what it missed" says 30 "bot-$kind" "message two"
    is "$kind: in order" "$(grep '^message' "$stack_dir/bot-$kind.log" |
        paste -sd, -)" "message one,message two"

    stack_end "processor-$kind"
    photo $kind
    is "$kind: the processor is down: the picture is sent" \
        "$(of '[.replies, .verdict, .texts]')" '[1,"ok",0]'
    is "$kind: and the log says why" \
        "$(log_count " event=processor_failed job=$message channel=$kind ")" 1
done

state_is_lawful
is "nothing was dropped" "$(log_count ' event=forward_dropped ')" 0
is "no error in the log" "$(log_count ' level=error ')" 0
ok "the pool ends when told to" stack_end pool
done_testing
