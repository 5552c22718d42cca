#!/usr/bin/env python3
"""Writes four files of the form of MNIST, with few images: bars, whose place is their class. They stand in for the
real ones in tests.

usage: make_stand_in.py FOLDER
"""

import gzip
import pathlib
import random
import struct
import sys

SIDE, CLASSES = 28, 10


def image(label, generator):
    """A row of light pixels for each class, among dim noise."""
    pixels = [generator.randrange(60) for _ in range(SIDE * SIDE)]
    for column in range(4, SIDE - 4):
        pixels[(2 * label + 4) * SIDE + column] = generator.randrange(200, 256)
    return bytes(pixels)


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
generator = random.Random(1)
for name, count in (("train", 640), ("t10k", 100)):
    labels = [generator.randrange(CLASSES) for _ in range(count)]
    images = b"".join(image(label, generator) for label in labels)
    # One plain, one compressed: both are read.
    (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">HBBIII", 0, 8, 3, count, SIDE, SIDE) + images, mtime=0))
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, count) + bytes(labels))
