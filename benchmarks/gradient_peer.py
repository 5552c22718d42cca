#!/usr/bin/env python3
"""PyTorch's side of benchmarks/gradients.cc: gradients of a layer alone, by commands.

usage: gradient_peer.py THREADS

Answers every line of the standard input with one line:

  layer JSON       what comes next is about this layer: {kind, x, w (their sizes), stride, dilation, frame, groups}
  threads N        with so many threads
  x N, w N         computes the gradient with respect to x or w N times, eagerly
"""

import json
import os
import sys

# The libraries below PyTorch read these when they are loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = sys.argv[1]

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


class Layer:
    def __init__(self, layer):
        self.x, self.w = (torch.rand(layer[name]).sub_(0.5).requires_grad_() for name in "xw")
        if layer["kind"] == "dense":
            self.y = F.linear(self.x, self.w)
        elif layer["kind"] == "product":
            self.y = self.x @ self.w
        else:
            conv = (F.conv1d, F.conv2d, F.conv3d)[len(layer["x"]) - 3]
            self.y = conv(
                self.x,
                self.w,
                None,
                stride=layer["stride"],
                padding=layer["frame"],
                dilation=layer["dilation"],
                groups=layer["groups"],
            )
        self.g = torch.rand_like(self.y).sub_(0.5)

    def gradient(self, operand):
        torch.autograd.grad(self.y, getattr(self, operand), self.g, retain_graph=True)


def main():
    layer = None
    print(torch.__version__, flush=True)
    for line in sys.stdin:
        command, argument = line.split(maxsplit=1)
        if command == "layer":
            layer = Layer(json.loads(argument))
        elif command == "threads":
            torch.set_num_threads(int(argument))
        else:
            for _ in range(int(argument)):
                layer.gradient(command)
        print(0, flush=True)


main()
