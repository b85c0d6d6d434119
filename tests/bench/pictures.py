#!/usr/bin/env python3
"""pictures.py PHOTO DIR: the pictures of the bench, from one photograph. Those
that are there already are kept.

The sizes are those of phones and of what LINE makes of them; quality 88, 4:2:0.
"""
import os
import sys

from PIL import Image, ImageDraw, ImageFont

TEXT = ("Are you coming tonight? The train leaves at 18:42, platform 7. "
        "Bring the tickets, and something to read on the way. ")


def jpeg(image, path, **more):
    image.save(path, "JPEG", quality=88, subsampling="4:2:0", **more)


def rotated(image, path):
    exif = Image.Exif()
    exif[0x0112] = 6  # as a phone held upright stores it
    jpeg(image, path, exif=exif)


def screenshot(photo, path):
    """A chat on a phone: flat areas, text, one photo."""
    image = Image.new("RGB", (1170, 2532), (143, 176, 214))
    draw = ImageDraw.Draw(image)
    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 38)
    except OSError:
        font = ImageFont.load_default()
    y = 180
    for number in range(14):
        mine = number % 3 == 0
        left = 330 if mine else 60
        fill = (141, 231, 130) if mine else (255, 255, 255)
        if number == 5:
            image.paste(photo.resize((720, 540), Image.LANCZOS), (left, y))
            y += 570
            continue
        draw.rounded_rectangle((left, y, left + 760, y + 110), 24, fill)
        for line in range(2):
            at = (number * 17 + line * 42) % 60
            draw.text((left + 24, y + 8 + line * 48), (TEXT * 2)[at:at + 36],
                      (0, 0, 0), font)
        y += 140
    draw.rectangle((0, 0, 1170, 150), (247, 247, 247))
    draw.rectangle((0, 2380, 1170, 2532), (247, 247, 247))
    image.save(path, "PNG")


def main():
    source, directory = sys.argv[1:]
    photo = Image.open(source).convert("RGB")
    full = photo.resize((4032, 3024), Image.LANCZOS)
    three = full.resize((2048, 1536), Image.LANCZOS)
    makers = {
        "12mp.jpg": lambda path: jpeg(full, path),
        "12mp-progressive.jpg": lambda path: jpeg(full, path,
                                                  progressive=True),
        "12mp-rotated.jpg": lambda path: rotated(full, path),
        "3mp.jpg": lambda path: jpeg(three, path),
        "1mp.jpg": lambda path: jpeg(full.resize((1280, 960), Image.LANCZOS),
                                     path),
        "0.3mp.jpg": lambda path: jpeg(full.resize((640, 480), Image.LANCZOS),
                                       path),
        "photo.png": lambda path: three.save(path, "PNG"),
        "screenshot.png": lambda path: screenshot(photo, path),
    }
    for name, make in makers.items():
        path = os.path.join(directory, name)
        if not os.path.exists(path):
            make(path + ".part")
            os.rename(path + ".part", path)


main()
