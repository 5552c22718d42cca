"""Writes the handwritten digits of examples/train_digits as tables of 64 pixels and a label: the first 1,437 of them
as train.csv, the others as test.csv.

usage: digits_as_csv.py digits.npz FOLDER
"""

import pathlib
import sys
import zipfile

COUNT, TRAINED, PIXELS = 1797, 1437, 64
with zipfile.ZipFile(sys.argv[1]) as archive:
    # Elements of one byte are the end of a .npy file.
    pixels = archive.read("x.npy")[-COUNT * PIXELS:]
    labels = archive.read("t.npy")[-COUNT:]
rows = [",".join(map(str, [*pixels[i * PIXELS:(i + 1) * PIXELS], labels[i]])) + "\n" for i in range(COUNT)]
head = ",".join([f"pixel{i}" for i in range(PIXELS)] + ["label"]) + "\n"
folder = pathlib.Path(sys.argv[2])
(folder / "train.csv").write_text(head + "".join(rows[:TRAINED]))
(folder / "test.csv").write_text(head + "".join(rows[TRAINED:]))
