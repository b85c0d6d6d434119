#!/usr/bin/env bash
#
# What ships for Prometheus and Grafana: rules that fire when they should, and
# nothing in it asks for a metric that there is not.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

monitoring=$smoke_top/scripts/monitoring
dashboard=$monitoring/grafana-dashboard.json

smoke_must "$monitoring/promtool" --fetch
ok "promtool takes the rules" \
    "$monitoring/promtool" check rules "$monitoring/alerts.yml"
ok "and they fire when they should" \
    "$monitoring/promtool" test rules "$monitoring/alerts-test.yml"
is "each alert says what and what to do" \
    "$(grep -cE '^ +(summary|description):' "$monitoring/alerts.yml")" \
    $((2 * $(grep -c -- '- alert:' "$monitoring/alerts.yml")))

is "panels have titles, words and queries" "$(jq -c '[.panels[] |
    select((.title == "") or (.description == "") or
        (.targets | length == 0))] | length' "$dashboard")" 0
is "no two panels overlap" "$(jq -c '[.panels[] | .gridPos as $g |
    range($g.x; $g.x + $g.w) as $x | range($g.y; $g.y + $g.h) as $y |
    "\($x) \($y)"] | length - (unique | length)' "$dashboard")" 0

# Samples of a pool that has done nothing yet.
smoke_start 1
stack_curl /metrics | sed -n 's/^\(darkroom_[a-z_]*\).*/\1/p' |
    sort -u >"$stack_dir/known"
{
    jq -r '.. | strings' "$dashboard"
    grep -v '^ *#' "$monitoring/alerts.yml"
} | grep -oE 'darkroom_[a-z_]+' | sort -u >"$stack_dir/asked"
ok "they ask for something" [ "$(grep -c . "$stack_dir/asked")" -gt 20 ]
is "and for nothing that there is not" \
    "$(comm -23 "$stack_dir/asked" "$stack_dir/known")" ""
ok "the pool ends" stack_end pool
done_testing
