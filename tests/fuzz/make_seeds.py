#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets that are binary files: tests/fuzz/seeds/<target>/*.

usage: make_seeds.py

Needs NumPy and python3-onnx. The files are small, and each one leads to another place in its reader. Elements
are letters where they can be, so that headers are easily told from data.
"""

import gzip
import io
import json
import pathlib
import struct
import zipfile

import numpy
from onnx import AttributeProto, TensorProto, helper

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


# --- .npz ---------------------------------------------------------------------------------------


def npz(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def npz_files():
    members = {"w.npy": npy(letters("<f4", 2, 2)), "layer/b.npy": npy(letters("<i8", 2))}
    fortran = {"zeros.npy": npy(numpy.asfortranarray(numpy.zeros((64, 8), "<f8")))}
    write("npz", "stored.npz", npz(members))
    write("npz", "deflated.npz", npz(members, zipfile.ZIP_DEFLATED))
    write("npz", "fortran.npz", npz(fortran, zipfile.ZIP_DEFLATED))
    write("npz", "none.npz", npz({}))
    write("npz", "leads_out.npz", npz({"../w.npy": npy(letters("u1", 1))}))
    write("npz", "bzip2.npz", npz({"w.npy": npy(letters("u1", 4))}, zipfile.ZIP_BZIP2))
    write("npz", "not_npy.npz", npz({"readme.txt": b"text"}))


# --- IDX ----------------------------------------------------------------------------------------


def idx(code, array):
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


def idx_files():
    write("idx", "u8.idx", idx(8, letters("u1", 2, 3, 2)))
    write("idx", "i16.idx", idx(11, letters(">i2", 3)))
    write("idx", "f4.idx", idx(13, letters(">f4", 2, 2)))
    write("idx", "scalar.idx", idx(14, letters(">f8", *())))
    write("idx", "no_rows.idx", idx(9, letters("i1", 0, 4)))
    write("idx", "labels.gz", gzip.compress(idx(8, letters("u1", 5)), mtime=0))
    write("idx", "zeros.gz", gzip.compress(idx(12, numpy.zeros(4000, ">i4")), mtime=0))


# --- CSV: a byte for the expected type, and the text --------------------------------------------

ANY, MATRIX, VECTOR, CUBE, SQUARE_OF_INTEGERS, BOOLS, NUMBER = range(7)


def csv_files():
    for name, expected, text in (
        ("header", ANY, "a,b\n1.5,2\nnan,-inf\n"),
        ("integers", ANY, "1,2,3\r\n4,5,6\r\n"),
        ("bools", ANY, "true,False\nTRUE,false"),
        ("quoted", MATRIX, '"a ""b"", c",d\n"1.5", 2e3\n'),
        ("mark", VECTOR, "\ufeff1\n2\n\n\n"),
        ("row", VECTOR, "1;2\n"),
        ("cube", CUBE, "1,2,3,4\n5,6,7,8\n"),
        ("square", SQUARE_OF_INTEGERS, "1,2\n3,-4\n"),
        ("digits", BOOLS, "0,1\n1,true\n"),
        ("number", NUMBER, "+.5"),
        ("empty_cell", ANY, "1,\n,2\n"),
        ("tabs", ANY, " 1\t, 2 \n3,4"),
    ):
        write("csv", name, bytes([expected]) + text.encode())


# --- ONNX ---------------------------------------------------------------------------------------


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def tensor(name, array):
    types = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}
    return helper.make_tensor(name, types[array.dtype.kind], array.shape, array.tobytes(), raw=True)


def model(name, nodes, inputs, outputs, initializers=(), opset=17, functions=(), imports=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset), *imports]
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions), producer_name="")
    made.ir_version = 8
    write("onnx", name + ".onnx", made.SerializeToString())


def onnx_models():
    node = helper.make_node
    x = value("x", ["N", 4])
    weights = [tensor("w", letters("<f4", 3, 4)), tensor("b", letters("<f4", 3))]

    model("mlp", [node("Gemm", ["x", "w", "b"], ["h"], name="fc", transB=1),
                  node("LeakyRelu", ["h"], ["a"], alpha=0.1),
                  node("Softmax", ["a"], ["y"], axis=-1)], [x], [value("y", ["N", 3])], weights)
    model("old", [node("Dropout", ["x"], ["d", "mask"], ratio=0.5), node("Clip", ["d"], ["c"], min=0.0, max=6.0),
                  node("Sum", ["c", "c", "w"], ["y"])],
          [value("x", [3, 4]), value("w", [3, 4])], [value("y", None)], weights[:1], opset=6)
    model("shapes", [node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
                     node("Unsqueeze", ["n", "axes"], ["n1"]), node("Mul", ["n1", "four"], ["m"]),
                     node("Concat", ["m", "one"], ["t"], axis=0), node("Reshape", ["x", "t"], ["r"]),
                     node("Slice", ["r", "zero1", "one", "axes"], ["c"]), node("Flatten", ["c"], ["y"])],
          [x], [value("y", ["A", "B"])],
          [tensor("zero", numpy.array(0)), tensor("axes", numpy.array([0])), tensor("four", numpy.array([4])),
           tensor("one", numpy.array([1])), tensor("zero1", numpy.array([0]))])
    model("constants", [
        node("Constant", [], ["a"], value=helper.make_tensor("", TensorProto.FLOAT, [2, 1], [1.0, 2.0])),
        node("Constant", [], ["f"], value_float=0.5), node("Constant", [], ["fs"], value_floats=[1.0, 2.0]),
        node("Constant", [], ["i"], value_int=3), node("Constant", [], ["is"], value_ints=[2, 2]),
        node("ConstantOfShape", ["is"], ["z"], value=helper.make_tensor("", TensorProto.FLOAT, [1], [7.0])),
        node("Cast", ["i"], ["i_f"], to=TensorProto.FLOAT), node("Add", ["a", "fs"], ["s"]),
        node("Add", ["s", "f"], ["s1"]), node("Mul", ["s1", "z"], ["s2"]), node("Mul", ["s2", "i_f"], ["y"]),
        node("Identity", ["y"], ["same"])], [], [value("y", [2, 2]), value("same", [2, 2])])
    model("movement", [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("Pad", ["t", "pads"], ["p"]),
                       node("Concat", ["p", "p"], ["c"], axis=1), node("ReduceMean", ["c"], ["r"], axes=[1]),
                       node("Squeeze", ["r"], ["q"]), node("Expand", ["q", "to"], ["e"]),
                       node("Where", ["k", "e", "e"], ["y"])],
          [value("x", ["?", 4]), value("k", [3, 6], TensorProto.BOOL)], [value("y", [None, 6])],
          [tensor("pads", numpy.array([1, 0, 1, 0])), tensor("to", numpy.array([3, 6]))])

    branches = [helper.make_graph([node(op, ["x"], [op])], op, [], [value(op, ["N", 4])]) for op in ("Relu", "Neg")]
    inner = helper.make_graph([node("If", ["yes"], ["z"], then_branch=branches[1], else_branch=branches[0])],
                              "inner", [], [value("z", ["N", 4])])
    model("if", [node("If", ["yes"], ["y"], then_branch=branches[0], else_branch=inner)], [x],
          [value("y", ["N", 4])], [tensor("yes", numpy.array(True))])

    def function(name, nodes, attributes=()):
        return helper.make_function("mine", name, ["a"], ["r"], nodes,
                                    [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)], list(attributes))

    scaled = node("LeakyRelu", ["a"], ["r"])
    scaled.attribute.append(AttributeProto(name="alpha", type=AttributeProto.FLOAT, ref_attr_name="slope"))
    model("functions", [node("Twice", ["x"], ["h"], domain="mine"), node("Scaled", ["h"], ["y"], domain="mine", slope=0.3)],
          [x], [value("y", ["N", 4])], imports=[helper.make_opsetid("mine", 1)],
          functions=[function("Twice", [node("Once", ["a"], ["m"], domain="mine"),
                                        node("Once", ["m"], ["r"], domain="mine")]),
                     function("Once", [node("Tanh", ["a"], ["r"])]), function("Scaled", [scaled], ["slope"])])

    external = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 2], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", "weights"), ("offset", "16"), ("length", "32")):
        external.external_data.add(key=key, value=text)
    model("external", [node("MatMul", ["x", "w"], ["y"])], [x], [value("y", ["N", 2])], [external])
    typed = [helper.make_tensor("f", TensorProto.FLOAT, [2], [1.0, 2.0]),
             helper.make_tensor("d", TensorProto.DOUBLE, [2], [1.0, 2.0]),
             helper.make_tensor("i", TensorProto.INT32, [2], [1, 2]),
             helper.make_tensor("l", TensorProto.INT64, [2], [1, 2]),
             helper.make_tensor("t", TensorProto.BOOL, [2], [True, False]),
             helper.make_tensor("u", TensorProto.UINT8, [2], [1, 2])]
    model("typed", [node("Cast", [t.name], [t.name + "_f"], to=TensorProto.FLOAT) for t in typed[1:]]
          + [node("Add", ["f", "d_f"], ["s"]), node("Mul", ["s", "i_f"], ["y"])], [], [value("y", [2])], typed)
    model("unsupported", [node("QuantizeLinear", ["x", "b"], ["q"]), node("Conv", ["x", "x"], ["c"]),
                          node("Mine", ["x"], ["m"], domain="other"), node("NonZero", ["x"], ["n"])],
          [x], [value("q", None)], weights)
    model("names", [node("Relu", ["a\nb"], ["\u00e9 \u001b[2J"], name="\"quoted\"\\"),
                    node("Neg", ["\u00e9 \u001b[2J"], ["0"])],
          [value("a\nb", ["batch size", "batch_size", None])], [value("0", None)])


if __name__ == "__main__":
    literals()
    npy_files()
    safetensors_files()
    npz_files()
    idx_files()
    csv_files()
    onnx_models()
