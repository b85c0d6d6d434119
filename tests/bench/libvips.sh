#!/bin/sh
# The LINE job with libvips' command: libvips.sh IN ORIGINAL PREVIEW
set -eu

side=2048
while
    vipsthumbnail "$1" --size "${side}x$side>" -o "$2[strip]"
    [ "$(stat -c %s "$2")" -gt 10000000 ]
do
    side=$((side * 4 / 5))
done
side=640
while
    vipsthumbnail "$1" --size "${side}x$side>" -o "$3[strip]"
    [ "$(stat -c %s "$3")" -gt 1000000 ]
do
    side=$((side * 4 / 5))
done
