#!/usr/bin/env bash
#
# Every type and kind of picture through the jail, once by `darkroom convert`
# and, of the types that are not LINE's own, through the whole path. What comes
# out is compared with what Pillow makes of the same file.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

export DARKROOM_IMAGE_WEBP=on DARKROOM_IMAGE_GIF=on
smoke_start 1
cd "$stack_dir" || exit 1
types=$smoke_top/tests/tool/picture_types
mkdir in out
smoke_must "$types" make in

# ---- each in a lab that has decoded nothing else

for file in in/*; do
    ok "$file is converted" "$BUILD/darkroom" convert --webp --gif --json \
        "$file" "out/${file#in/}.png"
    ok "and libpng has nothing against it" pngfix --quiet \
        "out/${file#in/}.png"
done

# Colours by lcms2's exact tables and by a coarser grid may differ a little;
# pictures that were made smaller, at their edges. All others are the same.
levels_of() {
    case $1 in
    large*) echo 20 ;;
    p3* | tables*) echo 2 ;;
    cmyk*) echo 4 ;;
    *) echo 0 ;;
    esac
}
differences=$("$types" compare out in/*)
is "all can be compared" "$(wc -l <<<"$differences")" \
    "$(find in -type f | wc -l)"
while read -r name levels; do
    ok "$name shows what Pillow sees ($levels levels)" \
        [ "${levels:-256}" -le "$(levels_of "$name")" ]
done <<<"$differences"

# ---- all at once

mkdir webp gif none
ok "all WebP in one run" "$BUILD/darkroom" convert --webp --jobs 2 in/*.webp \
    webp
ok "all GIF in one run" "$BUILD/darkroom" convert --gif --jobs 1 in/*.gif gif
for file in webp/* gif/*; do
    name=${file#*/}
    ok "$file is what it was alone" \
        cmp "$file" "out/${name%.png}.${file%/*}.png"
done
"$BUILD/darkroom" convert in/plain.gif in/lossy.webp none 2>complained
is "without the options they are refused: 1" $? 1
is "and it is said why" "$(grep -c IMAGE_UNSUPPORTED complained)" 2
is "and how they are taken" "$(grep -oE -- '--[a-z]+ takes' complained |
    sort | paste -sd,)" "--gif takes,--webp takes"

# ---- the whole path

for name in lossy.webp lossless-alpha.webp animated.webp interlaced.gif \
    animated.gif; do
    sent=$(send_photo "$PWD/in/$name")
    is "$name: the webhook is accepted" \
        "$(jq '.photos[0].ack_status' <<<"$sent")" 200
done
wait_replied 5
state_is "each is answered with two sound pictures" \
    '[.totals.replies, .totals.images_good]' '[5,5]'
state_is_lawful
ok "and the published picture is the converted one" \
    sh -c 'find state/public -name "*.png" \
        -exec cmp -s {} out/lossy.webp.png \; -print | grep -q .'

done_testing
