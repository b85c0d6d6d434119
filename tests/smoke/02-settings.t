#!/usr/bin/env bash
#
# Settings that are missing or wrong: all are named at once, and the worker
# does not start.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init

# serve NAME=VALUE...: with nothing else in the environment; sets `said`.
serve() {
    said=$(cd "$stack_dir" && timeout 10 env -i "$@" "$BUILD/darkroom" \
        serve 2>&1 </dev/null)
    status=$?
}

serve
ok "without any setting it refuses to start" [ "$status" -ne 0 ]
ok "and does not crash" [ "$status" -lt 124 ]
like "PUBLIC_URL is named" "$said" PUBLIC_URL
like "so is the channel's secret" "$said" LINE_CHANNEL_SECRET
like "so is the access token" "$said" LINE_CHANNEL_ACCESS_TOKEN

serve PUBLIC_URL=http://bot.example.com \
    LINE_CHANNEL_SECRET="s3cr3t with space" \
    DARKROOM_SERVER_ACCEPTORS=many DARKROOM_SERVER_ACCEPTOR=4 \
    DARKROOM_SERVER_LOG_LEVEL=loud DARKROOM_SERVER_STATE_DIR=state
ok "with wrong settings it refuses to start" [ "$status" -ne 0 ]
like "a URL without TLS" "$said" "PUBLIC_URL.*https"
like "a value that is no number" "$said" "ACCEPTORS: 'many'"
like "a name that does not exist" "$said" "DARKROOM_SERVER_ACCEPTOR: no such"
like "a level that does not exist" "$said" "LOG_LEVEL: 'loud'"
like "a path that is not absolute" "$said" "STATE_DIR: 'state'"
like "a missing token, at the same time" "$said" token
ok "the secret is not told" [ "${said/s3cr3t/}" = "$said" ]

done_testing
