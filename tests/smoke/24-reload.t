#!/usr/bin/env bash
#
# SIGHUP: a channel comes by an edited file, pictures go by the new settings,
# and a bad file changes nothing.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

# As `darkroom serve --config`, with the file's name in the environment.
smoke_conf() {
    printf '%s\n' "$@" >"$stack_dir/darkroom.conf"
}

# Prints the status of an empty webhook for the channel, signed with SECRET.
webhook() {
    local body='{"destination":"U0","events":[]}'

    curl -s --max-time 10 -k -o "$stack_dir/answer" -w '%{http_code}' \
        -H 'Content-Type: application/json' \
        -H "X-Line-Signature: $(printf %s "$body" | signature_of "$2")" \
        -d "$body" "$stack_url/webhook/$1"
}

smoke_init
export DARKROOM_CONFIG=$stack_dir/darkroom.conf
smoke_conf '[image]' 'mode = fit'
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 1
smoke_photo

is "a channel that is not there" "$(webhook club s3cret)" 404
worker=$(log_field ' event=started ' pid)

smoke_conf '[channel club]' 'secret = s3cret' 'channel_id = 1' \
    '[server]' 'acceptors = 5'
ok "SIGHUP is sent" kill -HUP "$worker"
ok "the settings are read" wait_log 10 " event=reloaded .*channels=2"
is "now it is there" "$(webhook club s3cret)" 200
is "with its own secret" "$(webhook club $stack_secret)" 401
is "the other is as it was" "$(webhook default $stack_secret)" 200
is "what needs a restart is named" \
    "$(log_count ' event=needs_restart .*key=acceptors now=4 then=5')" 1

send_photo "$photo" >/dev/null
wait_replied 1
state_is "a photo is answered" .totals.answered 1
smoke_conf '[channel club]' 'secret = s3cret' 'channel_id = 1' \
    '[image]' 'max_pixels = 10'
ok "SIGHUP is sent" kill -HUP "$worker"
ok "the settings are read" wait_log 10 " event=reloaded " 2
send_photo "$photo" >/dev/null
ok "the next photo goes by them" wait_log 10 IMAGE_TOO_MANY_PIXELS

smoke_conf '[channel club]' 'secrt = s3cret'
ok "SIGHUP is sent" kill -HUP "$worker"
ok "a bad file is refused" wait_log 10 " event=not_reloaded "
is "with its line, and what was meant" \
    "$(log_count ' event=bad_setting .*conf:2: .* did you mean secret')" 1
rm "$DARKROOM_CONFIG"
ok "SIGHUP is sent" kill -HUP "$worker"
ok "so is a file that is not there" wait_log 10 " event=not_reloaded " 2
mkfifo "$DARKROOM_CONFIG"
ok "SIGHUP is sent" kill -HUP "$worker"
ok "and a pipe that nobody writes to" wait_log 10 " event=not_reloaded " 3
is "and the channel is still there" "$(webhook club s3cret)" 200
ok "no secret is in the log" [ "$(log_count s3cret)" -eq 0 ]

ok "the worker stops as ever" stack_end pool
is "it was one and the same" "$(log_count ' event=started ')" 1

done_testing
