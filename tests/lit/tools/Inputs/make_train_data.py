"""Writes data sets of points and the quarter of the plane that each is in: points.csv, and points-idx2-ubyte.gz with
quarters.idx. The rows of both are the same.

usage: make_train_data.py FOLDER
"""

import gzip
import pathlib
import random
import struct
import sys

folder, generator = pathlib.Path(sys.argv[1]), random.Random(1)
points = [(generator.randrange(255), generator.randrange(255)) for _ in range(400)]
quarters = [(x >= 128) + 2 * (y >= 128) for x, y in points]
lines = [f"{x},{quarter},{y}\n" for (x, y), quarter in zip(points, quarters)]
(folder / "points.csv").write_text("x,quarter,y\n" + "".join(lines))
(folder / "points-idx2-ubyte.gz").write_bytes(gzip.compress(
    struct.pack(">HBBII", 0, 8, 2, len(points), 2) + bytes(value for point in points for value in point)))
(folder / "quarters.idx").write_bytes(struct.pack(">HBBI", 0, 8, 1, len(points)) + bytes(quarters))
