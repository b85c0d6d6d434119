#!/usr/bin/env bash
#
# `darkroom webhook`: the URL that LINE calls is shown, set and tested.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start 1

# webhook WORD...: sets `said` and `status`.
webhook() {
    said=$(timeout 30 "$BUILD/darkroom" webhook "$@" 2>&1 </dev/null)
    status=$?
}

webhook show
is "what is set is shown" "$status:$said" "0:$stack_url/webhook in use"
webhook test
is "LINE's test of it passes" "$status:$said" "0:OK: HTTP 200, 200"

webhook set --url "$stack_url/elsewhere"
is "another one is set" $status 0
webhook show --json
is "and shown" "$(jq -c '[.channel, .url, .active]' <<<"$said")" \
    "[\"default\",\"$stack_url/elsewhere\",true]"
webhook test --json
is "its test fails" "$status" 1
is "for programs, too" "$(jq -c '[.success, .http_status, .reason]' \
    <<<"$said")" '[false,404,"ERROR_STATUS_CODE"]'
webhook test --url "$stack_url/webhook"
is "any URL can be tested" $status 0
webhook set --url "$stack_url/else"$'\x1b[31m\xff'
ok "what is not fit for a terminal is not shown to it" \
    [ "${said//[$'\x1b\xff']/}" = "$said" ]
webhook set
is "without one it is this darkroom's" "$status:$said" \
    "0:$stack_url/webhook is set, in force within a minute"
webhook test
is "which works again" $status 0

sim_post behaviour '{"webhook_active": false}' >/dev/null
webhook show
is "one that is switched off is shown as such" "$said" \
    "$stack_url/webhook not in use"

# ---- what can go wrong

webhook set --url http://bot.example.com
is "LINE takes no http" $status 1
like "and says so" "$said" 'refused'
LINE_CHANNEL_ACCESS_TOKEN=wrong webhook show
is "nor another token" $status 1
like "which is said, too" "$said" 'access token refused'
ok "without it" [ "${said/wrong/}" = "$said" ]
webhook show --channel shop
is "a channel that does not exist is an error" $status 64
like "and those that do are named" "$said" \
    "no channel 'shop'; there are: default"
webhook
is "so is nothing to do" $status 64
DARKROOM_LINE_API_URL=http://127.0.0.1:1 webhook show
is "LINE out of reach is another" $status 74

done_testing
