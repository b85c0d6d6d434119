#!/usr/bin/env bash
#
# The status page, in Chromium: through nginx, with a real pool. Screenshots are
# in build/screens/ afterwards.

. "$(dirname "$0")/../lib/smoke.sh"
. "$smoke_top/tests/lib/npm.sh"
set -u

# page LIVE|LOST: what page.mjs says, as tests.
page() {
    local verdict name seen

    while IFS=$'\t' read -r verdict name seen; do
        if [ "$verdict" = ok ]; then
            tap_pass "$name"
        else
            tap_fail "${name:-$verdict}"
            diag "$seen"
        fi
    done < <(PAGE_URL=$stack_url SIM_URL=$stack_sim_url PHOTOS=$photos \
        SCREENS=$screens NPM=${npm_modules%/*} CHROMIUM=$(command -v chromium) \
        timeout 300 node "$smoke_top/tests/tool/page.mjs" "$1" \
        2>"$stack_dir/page.log" || printf 'not ok\tpage.mjs %s\t%s\n' "$1" \
        "$(tail -n 5 "$stack_dir/page.log" | tr '\n\t' '  ')")
}

smoke_init
smoke_must npm_install
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 2
screens=$stack_dir/screens
mkdir "$screens"

# Small ones, and one that is none.
photos=
for name in picosdeeuropa_by_Aitzol_Berasategi umang_by_Abhishek_Mudgal \
    greentock_by_Peter_Nerlich sunset_by_Aitzol_Berasategi \
    seeding_by_Clements_Engelhardt; do
    djpeg -scale 1/4 "/usr/share/backgrounds/$name.jpg" |
        cjpeg -quality 85 >"$stack_dir/$name.jpg"
    photos+=$stack_dir/$name.jpg$'\n'
done
head -c 5000 "$stack_dir/$name.jpg" >"$stack_dir/broken.jpg"
photos+=$stack_dir/broken.jpg

# The chart library is what its makers published.
for file in dist/uPlot.esm.js dist/uPlot.min.css LICENSE; do
    ok "uPlot: ${file##*/} is the one from npm" \
        cmp "$smoke_top/static/darkroom/vendor/uplot/${file##*/}" \
        "$npm_modules/uplot/$file"
done

page live
state=$(sim_get state)
state_is_lawful
ok "the pool ends" stack_end pool
page lost

mkdir -p "$BUILD/screens"
ok "screenshots are kept" cp "$screens"/*.png "$BUILD/screens/"
done_testing
