#!/usr/bin/env bash
#
# What a user reads beside the pictures, per channel; and what is refused by
# LINE for the access token's sake.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

channel() {
    local name=$1 each

    shift
    for each in "SECRET=$stack_secret" "$@"; do
        export "DARKROOM_CHANNEL_${name}_$each"
    done
}

# send_to CHANNEL FILE [MEMBERS]: sets `message`, `state`, and `answer`: the
# messages as LINE got them.
send_to() {
    local before

    before=$(sim_get state | jq .totals.answered)
    message=$(send_photo "$2" "$(jq -cn --arg path "/webhook/$1" \
        --argjson more "${3:-{\}}" '{channel_path: $path} + $more')" |
        jq -r .photos[0].message_id)
    wait_replied $((before + 1))
    answer=$(jq -c 'select(.kind == "request" and
        .path == "/v2/bot/message/reply") | .body | fromjson | .messages' \
        "$stack_dir/sim.jsonl" | tail -n 1)
}

# photo_is NAME FILTER WANTED: of the photo that was sent last.
photo_is() {
    state_is "$1" ".photos[] | select(.message_id == \"$message\") | $2" "$3"
}

smoke_init
echo "$stack_token" >"$stack_dir/token"
channel EN "ACCESS_TOKEN=$stack_token"
channel JA "ACCESS_TOKEN=$stack_token" LANGUAGE=ja
channel ZH "ACCESS_TOKEN=$stack_token" LANGUAGE=zh-TW
channel OWN "ACCESS_TOKEN=$stack_token" FAILURE_TEXT='Try "another" 📷'
channel QUOTE "ACCESS_TOKEN=$stack_token" QUOTE_TEXT='Developed:' \
    SENDER_NAME=Darkroom MARK_AS_READ=on LOADING=off
channel FILE "ACCESS_TOKEN_FILE=$stack_dir/token" LOADING=off
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 1
smoke_photo
text=$smoke_top/LICENSE

send_to en "$text"
is "a failure text in English, which quotes the picture" "$answer" \
    "[{\"type\":\"text\",\"text\":\"Sorry, I could not open this picture. \
Please send a different one.\",\"quoteToken\":\"qT_$message\"}]"
send_to ja "$text"
like "in Japanese" "$answer" "申し訳ありません"
send_to zh "$text"
like "in Traditional Chinese" "$answer" "很抱歉"
send_to own "$text"
is "in the channel's own words" "$(jq -r .[0].text <<<"$answer")" \
    'Try "another" 📷'

send_to quote "$photo"
is "a text that quotes, beside the picture" \
    "$(jq -c '[.[].type]' <<<"$answer")" '["text","image"]'
is "with the picture's token" \
    "$(jq -r .[0].quoteToken <<<"$answer")" "qT_$message"
is "from whom the channel says" \
    "$(jq -c '[.[].sender.name]' <<<"$answer")" '["Darkroom","Darkroom"]'
state=$(sim_get 'wait?reads=1&timeout_ms=10000')
state_is "the message is marked as read" .totals.reads 1
photo_is "no loading animation where it is off" .loadings 0
send_to en "$photo"
photo_is "and one where it is on" .loadings 1
send_to en "$photo" '{"source": "group"}'
photo_is "but not in a group" .loadings 0

# LINE's console has issued another token, and somebody has put it in the file.
sim_post behaviour '{"access_token": "newer"}' >/dev/null
echo newer >"$stack_dir/token"
send_to file "$photo"
like "a token that was replaced is read again" "$answer" '"image"'
state_is "after one refusal" \
    '[.violations[] | select(.kind == "unauthorized")] | length' 1
send_photo "$photo" '{"channel_path": "/webhook/en"}' >/dev/null
ok "where it was not, the log says so" wait_log 20 \
    ' event=dead .*reason=UNAUTHORIZED'

done_testing
