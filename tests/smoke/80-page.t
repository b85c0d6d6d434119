#!/usr/bin/env bash
#
# The status page, in Chromium: through nginx, with a real pool. Screenshots are
# in build/screens/ afterwards.

. "$(dirname "$0")/../lib/smoke.sh"
. "$smoke_top/tests/lib/npm.sh"
. "$smoke_top/tests/lib/page.sh"
set -u

smoke_init
smoke_must npm_install
smoke_must stack_nginx
smoke_must stack_sim
smoke_must stack_pool 2
page_url=$stack_url
page_sim_url=$stack_sim_url
page_screens=$stack_dir/screens
mkdir "$page_screens"

# Small ones, and one that is none.
page_photos=
for name in picosdeeuropa_by_Aitzol_Berasategi umang_by_Abhishek_Mudgal \
    greentock_by_Peter_Nerlich sunset_by_Aitzol_Berasategi \
    seeding_by_Clements_Engelhardt; do
    djpeg -scale 1/4 "/usr/share/backgrounds/$name.jpg" |
        cjpeg -quality 85 >"$stack_dir/$name.jpg"
    page_photos+=$stack_dir/$name.jpg$'\n'
done
head -c 5000 "$stack_dir/$name.jpg" >"$stack_dir/broken.jpg"
page_photos+=$stack_dir/broken.jpg

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
ok "screenshots are kept" cp "$page_screens"/*.png "$BUILD/screens/"
done_testing
