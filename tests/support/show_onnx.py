#!/usr/bin/env python3
"""Checks ONNX models with ONNX's own checker and shows them as text, a node a line.

usage: show_onnx.py [--check] FILE.onnx ...

--check shows nothing but the number of models. Exit code 1 when a model is wrong.
"""

import sys

import onnx
from onnx import numpy_helper


def type_text(value_info):
    tensor = value_info.type.tensor_type
    name = onnx.TensorProto.DataType.Name(tensor.elem_type)
    dims = [str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]
    return f"{value_info.name}: {name}[{', '.join(dims)}]"


def attribute_text(attribute):
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == onnx.AttributeProto.TENSOR:
        value = f"{onnx.TensorProto.DataType.Name(value.data_type)} {numpy_helper.to_array(value).tolist()}"
    elif attribute.type == onnx.AttributeProto.FLOAT:
        value = f"{value:.7g}"
    return f"{attribute.name}={value}"


def show(model):
    graph = model.graph
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    print(f"{graph.name}: {opsets}, by {model.producer_name}")
    for value in graph.input:
        print(f"input {type_text(value)}")
    for tensor in graph.initializer:
        place = {entry.key: entry.value for entry in tensor.external_data}
        where = f" in {place['location']} at {place['offset']}" if place else ""
        print(f"initializer {tensor.name}: {onnx.TensorProto.DataType.Name(tensor.data_type)}{list(tensor.dims)}{where}")
    for node in graph.node:
        attributes = "".join(f" {attribute_text(attribute)}" for attribute in node.attribute)
        about = f"  # {node.doc_string}" if node.doc_string else ""
        print(f"{', '.join(node.output)} = {node.op_type}({', '.join(node.input)}){attributes}{about}")
    for value in graph.output:
        print(f"output {type_text(value)}")


def main(arguments):
    silent = "--check" in arguments
    files = [argument for argument in arguments if argument != "--check"]
    for file in files:
        # The path, not the model: external data is looked for beside it.
        try:
            onnx.checker.check_model(file)
            model = onnx.load(file, load_external_data=False)
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        except Exception as error:
            print(f"{file}: {error}", file=sys.stderr)
            return 1
        if not silent:
            show(model)
    if silent:
        print(f"{len(files)} models are well-formed")
    return 0


sys.exit(main(sys.argv[1:]))
