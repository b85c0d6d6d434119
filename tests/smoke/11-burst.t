#!/usr/bin/env bash
#
# Ten photos at once, in webhooks of their own and in one.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start
smoke_photo

sent=$(send_photo "$photo" '{"count": 10, "parallel": 10}')
is "ten webhooks are answered" "$(jq .acked <<<"$sent")" 10
wait_replied 10
state_is "ten replies" .totals.replies 10
state_is "for each photo one" '[.photos[].replies] | unique' '[1]'
state_is "with ten good pairs of pictures" .totals.images_good 10
state_is "under ten names" \
    '[.photos[].images[0].original.url] | unique | length' 10

sent=$(send_photo "$photo" '{"count": 10, "batch": 10}')
is "ten photos in one webhook are accepted" "$(jq .acked <<<"$sent")" 10
wait_replied 20
state_is "and answered" .totals.replies 20
state_is "each once" '[.photos[].replies] | unique' '[1]'
state_is_lawful
is "no error in the log" "$(log_count ' level=error ')" 0

done_testing
