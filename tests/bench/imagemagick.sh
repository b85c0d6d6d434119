#!/bin/sh
# The LINE job with ImageMagick's command: imagemagick.sh IN ORIGINAL PREVIEW
set -eu

side=2048
while
    "${IMAGEMAGICK:-convert}" "$1" -auto-orient -strip \
        -resize "${side}x$side>" "PNG:$2"
    [ "$(stat -c %s "$2")" -gt 10000000 ]
do
    side=$((side * 4 / 5))
done
side=640
while
    "${IMAGEMAGICK:-convert}" "$1" -auto-orient -strip \
        -resize "${side}x$side>" "PNG:$3"
    [ "$(stat -c %s "$3")" -gt 1000000 ]
do
    side=$((side * 4 / 5))
done
