# page.sh: the status page in Chromium, by page.mjs. Sourced after smoke.sh and
# npm.sh.
#
#   page MODE [WITHIN...]      its tests; WITHIN is a command that runs others
#
# Wants page_url (of nginx), page_sim_url, page_photos (names for the simulator,
# one a line), page_screens (a directory, for screenshots), npm_modules.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller has them

page() {
    local mode=$1 verdict name seen

    shift
    while IFS=$'\t' read -r verdict name seen; do
        if [ "$verdict" = ok ]; then
            tap_pass "$name"
        else
            tap_fail "${name:-$verdict}"
            diag "$seen"
        fi
    done < <("$@" env PAGE_URL="$page_url" SIM_URL="$page_sim_url" \
        PHOTOS="$page_photos" SCREENS="$page_screens" \
        NPM="${npm_modules%/*}" CHROMIUM="$(command -v chromium)" \
        timeout 300 node "$smoke_top/tests/tool/page.mjs" "$mode" \
        2>"$stack_dir/page.log" || printf 'not ok\tpage.mjs %s\t%s\n' "$mode" \
        "$(tail -n 5 "$stack_dir/page.log" | tr '\n\t' '  ')")
}
