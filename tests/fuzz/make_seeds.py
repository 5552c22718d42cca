#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets that are binary files: tests/fuzz/seeds/<target>/*.

usage: make_seeds.py

Needs NumPy and python3-onnx. The files are small, and each one leads to another place in its reader. Elements
are letters where they can be, so that headers are easily told from data.
"""

import io
import json
import pathlib
import struct

import numpy

SEEDS = pathlib.Path(__file__).parent / "seeds"


def write(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def letters(dtype, *sizes):
    count = int(numpy.prod(sizes, dtype=int)) * numpy.dtype(dtype).itemsize
    data = bytes(ord("A") + i % 26 for i in range(count))
    return numpy.frombuffer(data, dtype=dtype).reshape(sizes)


# --- Literals: a byte for the element type, one for the expected type, and the text -------------

F32, F64, I32, I64, BOOL = range(5)
NOTHING, SCALAR, SQUARE, ROWS, EMPTY, DEEP = range(6)


def literals():
    for name, dtype, expected, text in (
        ("rows", F32, SQUARE, "[[1.0, -2.5e3], [nan, inf]]"),
        ("scalar", F64, SCALAR, "-0.0"),
        ("no_rows", F32, EMPTY, "[[],[],]"),
        ("nested", I64, NOTHING, "[[[1,2],[3,4]],[[5,6],[7,8]]]"),
        ("spaces", I32, NOTHING, "[ +1 ,\n\t2 , ]"),
        ("bools", BOOL, NOTHING, "[true, false]"),
        ("range", F32, NOTHING, "[1e-45, 3.4e38, .5, 5.]"),
        ("completed", F32, ROWS, "[]"),
        ("largest", I64, SCALAR, "9223372036854775807"),
        ("deep", F32, DEEP, "[" * 64 + "1" + "]" * 64),
    ):
        write("literal", name, bytes([dtype, expected]) + text.encode())


# --- .npy ---------------------------------------------------------------------------------------


def npy(array, version=None):
    file = io.BytesIO()
    numpy.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def npy_files():
    write("npy", "f4.npy", npy(letters("<f4", 2, 3)))
    write("npy", "fortran.npy", npy(numpy.asfortranarray(letters("<i8", 2, 3, 4))))
    write("npy", "scalar.npy", npy(letters("<f8", *()).copy()))
    write("npy", "bool.npy", npy(numpy.array([True, False])))
    write("npy", "no_rows.npy", npy(numpy.zeros((0, 4), "<f2")))
    write("npy", "version2.npy", npy(letters("i1", 4), (2, 0)))
    write("npy", "version3.npy", npy(letters("u1", 4), (3, 0)))
    write("npy", "big_endian.npy", npy(letters(">f4", 2)))
    write("npy", "rank32.npy", npy(letters("<i4", *[1] * 32)))
    header = b"{'descr': '<f4', 'shape': (2, 2), 'fortran_order': True}"
    write("npy", "unaligned.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
          + letters("<f4", 4).tobytes())


# --- .safetensors -------------------------------------------------------------------------------


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_files():
    def file(name, header, size=0):
        write("safetensors", name + ".safetensors", safetensors(header, letters("u1", size).tobytes()))

    file("two", {"w": entry("F32", [2, 2], 0, 16), "b": entry("I64", [1], 16, 24),
                 "__metadata__": {"format": "pt"}}, 24)
    file("types", {"a": entry("F64", [2], 0, 16), "b": entry("F16", [2], 16, 20), "c": entry("BF16", [2], 20, 24),
                   "d": entry("I8", [2], 24, 26), "e": entry("U8", [2], 26, 28), "f": entry("I32", [2], 28, 36)}, 36)
    file("none", {})
    file("scalar", {"s": entry("F32", [], 0, 4), "none": entry("F32", [0, 7], 4, 4)}, 4)
    file("names", {"lay\u00e9r/1\n\"\\\u0001": entry("U8", [1], 0, 1), "\U0001f600": entry("U8", [1], 1, 2)}, 2)
    file("overlap", {"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, 3)
    file("unaligned", {"pad": entry("U8", [1], 0, 1), "f": entry("F64", [1], 1, 9)}, 9)
    file("deep", b'{"a":' + b"[" * 200 + b"]" * 200 + b"}")
    write("safetensors", "bool.safetensors", safetensors({"mask": entry("BOOL", [3, 1], 0, 3)}, b"\1\0\1"))


if __name__ == "__main__":
    literals()
    npy_files()
    safetensors_files()
