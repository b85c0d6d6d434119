#!/usr/bin/env bash
#
# A channel without an access token: the pool has stateless ones issued by the
# platform, once for all its workers.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx
smoke_must stack_sim --channel-id 1234567890
stack_environment() {
    export DARKROOM_SERVER_STATE_DIR=$stack_dir/state
    export PUBLIC_URL=$stack_url
    export LINE_CHANNEL_SECRET=$stack_secret
    export LINE_CHANNEL_ID=1234567890
    export DARKROOM_LINE_API_URL=$stack_sim_url
    export DARKROOM_LINE_DATA_API_URL=$stack_sim_url
}
smoke_must stack_pool 2
smoke_photo

for n in 1 2 3 4; do
    send_photo "$photo" >"$stack_dir/sent.$n" &
done
wait_replied 4
state_is "four replies" .totals.replies 4
state_is "one token for all of it" .totals.tokens_issued 1
state_is_lawful
is "the file is for the pool alone" \
    "$(stat -c '%a' "$stack_dir/state/tokens/default.json")" 600
is "and so is its directory" \
    "$(stat -c '%a' "$stack_dir/state/tokens")" 700
token=$(jq -r .access_token "$stack_dir/state/tokens/default.json")
ok "the log keeps it to itself" \
    sh -c "! grep -qF -e '$token' -e $stack_secret '$stack_dir/pool.log'"

done_testing
