#!/usr/bin/env python3
"""The LINE job with Pillow, as tutorials write it: draft, thumbnail, save, and
once more a little smaller while the file is too large.

PILLOW_LEVEL=1 sets compress_level, which few tutorials do.
"""
import os
import sys

from PIL import Image, ImageOps

import peer

OPTIONS = {}
if "PILLOW_LEVEL" in os.environ:
    OPTIONS["compress_level"] = int(os.environ["PILLOW_LEVEL"])


def save_within(source, target, side, limit):
    while True:
        with Image.open(source) as image:
            image.draft("RGB", (side, side))
            image = ImageOps.exif_transpose(image)
            image.thumbnail((side, side))
            image.save(target, "PNG", **OPTIONS)
        if os.path.getsize(target) <= limit:
            return
        side = side * 4 // 5


def job(source, original, preview):
    save_within(source, original, 2048, 10_000_000)
    save_within(source, preview, 640, 1_000_000)


peer.run(job, sys.argv)
