#!/usr/bin/env bash
#
# Plain CGI: one request in the environment and on stdin, the answer on stdout,
# and the photo's job done before the process ends.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_photo
smoke_must stack_nginx
smoke_must stack_sim
stack_environment
arguments=serve

# cgi METHOD PATH [NAME=VALUE...] <body: sets `answer` and `status`. The
# program gets the words in `arguments`.
cgi() {
    local method=$1 path=$2

    shift 2
    # shellcheck disable=SC2086 # none, or several
    answer=$(cd "$stack_dir" && timeout 60 env GATEWAY_INTERFACE=CGI/1.1 \
        REQUEST_METHOD="$method" SCRIPT_NAME= PATH_INFO="$path" \
        REQUEST_URI="$path" QUERY_STRING= "$@" \
        "$BUILD/darkroom" $arguments 2>>pool.log | tr -d '\r')
    status=${PIPESTATUS[0]}
}

cgi GET /healthz </dev/null
like "a GET is answered" "$answer" "ok$"

# A query without "=" becomes arguments (RFC 3875, 4.4).
for arguments in "" version "check --help" "serve --help"; do
    cgi GET /healthz </dev/null
    like "a query does not choose what runs: '$arguments'" "$answer" \
        "^Status: 200 .*ok$"
done
arguments=serve

# A body's end is where CONTENT_LENGTH says, not where the file ends: this pipe
# stays open.
mkfifo "$stack_dir/pipe"
exec {pipe}<>"$stack_dir/pipe"
head -c 2000000 /dev/zero >"$stack_dir/pipe" &
cgi POST /webhook CONTENT_TYPE=application/json CONTENT_LENGTH=2000000 \
    <"$stack_dir/pipe"
like "a body beyond the limit: 413" "$answer" "^Status: 413"
exec {pipe}>&-
wait $!
for length in -5 x 5x 99999999999999999999; do
    cgi POST /webhook CONTENT_TYPE=application/json CONTENT_LENGTH=$length \
        </dev/null
    like "a length of '$length': 400" "$answer" "^Status: 400"
done

# The simulator sends a photo to a pool that is not there. So it knows the
# photo, and the event is ours to bring.
sent=$(send_photo "$photo")
body=$(jq -cj --argjson state "$(sim_get state)" '
    .photos[0] as $sent
    | ($state.photos[] | select(.message_id == $sent.message_id)) as $photo
    | {destination: "U0123456789abcdef0123456789abcdef", events: [
        {type: "message", mode: "active", timestamp: $state.now_ms,
         source: {type: "user", userId: $photo.source_id},
         webhookEventId: $photo.event_id,
         deliveryContext: {isRedelivery: false},
         replyToken: $sent.reply_token,
         message: {type: "image", id: $sent.message_id,
                   contentProvider: {type: "line"}}}]}' <<<"$sent")
printf %s "$body" >"$stack_dir/body"

cgi POST /webhook CONTENT_TYPE=application/json CONTENT_LENGTH=${#body} \
    HTTP_X_LINE_SIGNATURE=wrong <"$stack_dir/body"
like "a wrong signature: 401" "$answer" "^Status: 401"

signature=$(signature_of $stack_secret <"$stack_dir/body")
cgi POST /webhook CONTENT_TYPE=application/json CONTENT_LENGTH=${#body} \
    "HTTP_X_LINE_SIGNATURE=$signature" <"$stack_dir/body"
like "a webhook: 200" "$answer" "^Status: 200"
wait_replied 1 1
state_is "the reply came before the process ended" .totals.replies 1
wait_replied 1 20
state_is "with good pictures" .totals.images_good 1
state_is_lawful

# A pool has a slow picture in hand: that is nothing to wait for.
smoke_must stack_pool 1
send_photo "$photo" '{"behaviour":{"rate_bytes_s":60000}}' >/dev/null
ok "a worker has a picture in hand" wait_log 10 ' event=fetching ' 2
cgi GET /healthz </dev/null
like "a CGI process is asked meanwhile" "$answer" "ok$"
state=$(sim_get state)
state_is "and ends before that picture is answered" .totals.replies 1
wait_replied 2
state_is "which comes, too" .totals.replies 2
ok "the pool stops" stack_end pool

done_testing
