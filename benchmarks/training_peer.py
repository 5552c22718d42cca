#!/usr/bin/env python3
"""PyTorch's side of benchmarks/training.cc: the eager training step of a network, run by commands.

usage: training_peer.py FOLDER

FOLDER holds case.json (layers, loss, optimizer, rate, threads), weights.npz and data.npz. Answers every line of the
standard input with one line:

  steps N    runs N steps: the loss of the last one
  memory     the bytes that steps take beside the process as it was before one of the whole batch
"""

import json
import os
import pathlib
import sys

FOLDER = pathlib.Path(sys.argv[1])
CASE = json.loads((FOLDER / "case.json").read_text())
# The libraries below PyTorch read these when they are loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(CASE["threads"])

import numpy  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def status_bytes(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


class Case:
    def __init__(self, folder, case):
        torch.set_num_threads(case["threads"])
        self.layers, self.loss_name = case["layers"], case["loss"]
        tensors = {name: torch.from_numpy(value) for name, value in numpy.load(folder / "weights.npz").items()}
        self.params = {name: value.clone().requires_grad_() for name, value in tensors.items()}
        self.data = {name: torch.from_numpy(value).clone() for name, value in numpy.load(folder / "data.npz").items()}
        optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        self.optimizer = optimizers[case["optimizer"]](self.params.values(), lr=case["rate"])

    def network(self, x):
        for i, layer in enumerate(self.layers):
            weight, bias = self.params.get(f"w{i}"), self.params.get(f"b{i}")
            if layer["kind"] == "dense":
                x = F.linear(x, weight, bias)
            elif layer["kind"] == "conv":
                assert layer["low"] == layer["high"]
                x = F.conv2d(x, weight, bias, stride=layer["stride"], padding=layer["low"], groups=layer["groups"])
            else:
                raise ValueError(layer["kind"])
            if layer["normalized"]:
                x = F.batch_norm(x, None, None, self.params[f"scale{i}"], self.params[f"shift{i}"], training=True)
            if layer["slope"] is not None:
                x = F.leaky_relu(x, layer["slope"])
        return x

    def loss(self, data):
        if self.loss_name == "cross_entropy":
            return F.cross_entropy(self.network(data["x"]), data["target"])
        if self.loss_name == "binary_cross_entropy":
            return F.binary_cross_entropy_with_logits(self.network(data["x"]).flatten(), data["target"])
        between = data["between"].requires_grad_()
        score = self.network(between).sum()
        slope = torch.autograd.grad(score, between, create_graph=True)[0].flatten(1)
        excess = slope.square().sum(1).sqrt() - 1
        difference = self.network(data["fake"]).mean() - self.network(data["real"]).mean()
        return difference + 10 * excess.square().mean()

    def step(self, data):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(data)
        loss.backward()
        self.optimizer.step()
        return loss

    def memory(self):
        # What the library itself needs for a first step is not the step's.
        self.step({name: value[:2].clone() for name, value in self.data.items()})
        self.optimizer.zero_grad(set_to_none=True)
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        before = status_bytes("VmRSS")
        for _ in range(3):
            self.step(self.data)
        return status_bytes("VmHWM") - before


def main():
    case = Case(FOLDER, CASE)
    print(torch.__version__, flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "steps":
            for _ in range(int(arguments[0])):
                loss = case.step(case.data)
            print(loss.item(), flush=True)
        elif command == "memory":
            print(case.memory(), flush=True)


main()
