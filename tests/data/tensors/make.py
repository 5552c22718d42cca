#!/usr/bin/env python3
"""Makes the files of this folder, with NumPy and ONNX's Python package (Debian: python3-numpy, python3-onnx).

The values follow formulas, which the tests repeat: element i of a float array is i / 4 - 1 in row-major order, of an
integer array 3 * i - 4 (modulo 256 if it has no sign), of a bool array whether i is a multiple of 3.
"""

import pathlib
import zipfile

import numpy
import onnx
from onnx import numpy_helper

FOLDER = pathlib.Path(__file__).parent


def array(dtype, *sizes):
    i = numpy.arange(numpy.prod(sizes, dtype=int))
    if dtype == bool:
        values = i % 3 == 0
    elif numpy.issubdtype(dtype, numpy.floating):
        values = i / 4 - 1
    else:
        values = (3 * i - 4) % 256 if dtype == numpy.uint8 else 3 * i - 4
    return values.astype(dtype).reshape(sizes)


ARRAYS = {
    "f32": array(numpy.float32, 3, 5),
    "f64": array(numpy.float64, 7),
    "f16": array(numpy.float16, 2, 2, 3),
    "i8": array(numpy.int8, 9),
    "u8": array(numpy.uint8, 4, 2),
    "i32": array(numpy.int32, 2, 3),
    "i64": array(numpy.int64, 6),
    "bool": array(bool, 10),
    "scalar": array(numpy.float32),
    "empty": array(numpy.float32, 0, 4),
    "columns/first": numpy.asfortranarray(array(numpy.float32, 3, 4)),
}

numpy.savez(FOLDER / "stored.npz", **ARRAYS)
numpy.savez_compressed(FOLDER / "deflated.npz", **ARRAYS)

# Written to a pipe, an archive has the sizes of its members behind them.
class Pipe:
    def __init__(self, file):
        self.file = file
    def write(self, data):
        return self.file.write(data)
    def flush(self):
        self.file.flush()


with open(FOLDER / "streamed.npz", "wb") as file, zipfile.ZipFile(Pipe(file), "w", zipfile.ZIP_DEFLATED) as archive:
    for name in ("f32", "bool"):
        with archive.open(name + ".npy", "w") as member:
            numpy.lib.format.write_array(member, ARRAYS[name])

numpy.savetxt(FOLDER / "header.csv", ARRAYS["f32"], delimiter=",", header="a,b,c,d,e", comments="")
numpy.savetxt(FOLDER / "integers.csv", ARRAYS["i32"], delimiter=",", fmt="%d", newline="\r\n")

for name in ("f32", "f64", "f16", "i8", "u8", "i32", "i64", "bool", "scalar"):
    onnx.save_tensor(numpy_helper.from_array(ARRAYS[name], name), FOLDER / (name + ".pb"))
typed = onnx.helper.make_tensor("typed", onnx.TensorProto.FLOAT, (3, 5), ARRAYS["f32"].flatten().tolist())
onnx.save_tensor(typed, FOLDER / "typed.pb")
