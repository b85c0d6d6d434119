#!/usr/bin/env bash
#
# Pictures that are not kept at LINE: taken from a public host, and from no
# other. Here nginx is that host, by the variable that lets loopback through.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

# external URL: a picture of that URL; prints its message id.
external() {
    sim_post photo "$(jq -cn --arg url "$1" \
        '{kind: "external", external_url: $url, wait: true}')" |
        jq -r .photos[0].message_id
}

# of MESSAGE FILTER
of() {
    jq -c ".photos[] | select(.message_id == \"$1\") | $2" <<<"$state"
}

# is_refused NAME MESSAGE: given up for its address, and the user is told.
is_refused() {
    ok "$1: is given up" wait_log 20 \
        " job=$2 .*reason=ADDRESS_REFUSED"
    state=$(sim_get "wait?replied=$answered&timeout_ms=20000")
    is "$1: the user is told" "$(of "$2" '[.replies, .texts]')" '[1,1]'
}

smoke_init
smoke_must stack_nginx
smoke_must stack_sim
export DARKROOM_CHANNEL_DEFAULT_EXTERNAL=on
export DARKROOM_LINE_CA_FILE=$stack_dir/cert.pem
export TEST_DARKROOM_LOOPBACK_IS_PUBLIC=1
smoke_must stack_pool 2

message=$(external "$stack_url/static/expired.png")
wait_replied 1
is "a picture from a public host: the answer has it" \
    "$(of "$message" '[.replies, .verdict, .content_requests]')" '[1,"ok",0]'

answered=1
for url in "http://127.0.0.1:$stack_port/static/expired.png" \
    "https://10.0.0.1/photo.jpg" "https://[::ffff:10.0.0.1]/photo.jpg" \
    "https://user@127.0.0.1:$stack_port/static/expired.png"; do
    answered=$((answered + 1))
    is_refused "$url" "$(external "$url")"
done

stack_end pool
unset TEST_DARKROOM_LOOPBACK_IS_PUBLIC
smoke_must stack_pool 2
for host in 127.0.0.1 localhost 2130706433 '[::1]'; do
    answered=$((answered + 1))
    is_refused "$host" \
        "$(external "https://$host:$stack_port/static/expired.png")"
done

state_is_lawful
ok "the pool ends when told to" stack_end pool
done_testing
