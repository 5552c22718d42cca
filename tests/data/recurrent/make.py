#!/usr/bin/env python3
"""Writes layers.onnx: an LSTM with peepholes and a GRU in f64, on two steps of two examples.

usage: make.py   (beside the file; needs the package onnx)
"""

import math
import pathlib

from onnx import TensorProto, helper, save


def wave(name, sizes, phase):
    values = [0.5 * math.sin(1.7 * i + phase) for i in range(math.prod(sizes))]
    return helper.make_tensor(name, TensorProto.DOUBLE, sizes, values)


def layer(op, gates, phase):
    """A node of hidden size 2, and its weights."""
    names = [f"{op.lower()}_{part}" for part in "wrb"]
    weights = [wave(names[0], [1, 2 * gates, 2], phase), wave(names[1], [1, 2 * gates, 2], phase + 1),
               wave(names[2], [1, 4 * gates], phase + 2)]
    inputs = ["x", *names]
    if op == "LSTM":
        weights.append(wave("lstm_p", [1, 6], phase + 3))
        inputs += ["", "", "", "lstm_p"]
    return helper.make_node(op, inputs, [op.lower()], hidden_size=2), weights


def main():
    (lstm, lstm_weights), (gru, gru_weights) = layer("LSTM", 4, 1), layer("GRU", 3, 2)
    graph = helper.make_graph(
        [lstm, gru], "layers", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [2, 2, 2])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [2, 1, 2, 2]) for name in ("lstm", "gru")],
        lstm_weights + gru_weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    save(model, pathlib.Path(__file__).with_name("layers.onnx"))


if __name__ == "__main__":
    main()
