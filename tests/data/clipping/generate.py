"""Training with clipped gradients and smoothed labels, made with PyTorch (Debian's python3-torch, 1.13): runs.npz.

Run: /usr/bin/python3 generate.py    (needs python3-torch and python3-numpy)

network(x) = linear(leaky_relu(linear(x, w1, b1), 0.1), w2, b2)
loss       = cross_entropy(network(x), t, label_smoothing)

Each run is STEPS steps from the same params, a batch each: RUNS says with which optimizer, smoothing and clipping; by value before by norm.
runs.npz holds, in f64: x [STEPS, ROWS, FEATURES] and t [STEPS, ROWS] as i64; init.NAME of each param; and of each run RUN.loss [STEPS] and
RUN.final.NAME.
"""
import pathlib

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

STEPS, ROWS, FEATURES, HIDDEN, CLASSES = 20, 8, 10, 12, 5
SGD = lambda params: torch.optim.SGD(params, lr=0.2)
MOMENTUM = lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9)
ADAM = lambda params: torch.optim.Adam(params, lr=0.01)
ADAMW = lambda params: torch.optim.AdamW(params, lr=0.01, weight_decay=0.05)
# Optimizer, label smoothing, the largest element, the largest norm; 0: none.
RUNS = {
    "smooth": (SGD, 0.1, 0, 0),
    "smooth_adam": (ADAM, 0.3, 0, 0),
    "value": (SGD, 0, 0.05, 0),
    "value_adam": (ADAM, 0, 0.02, 0),
    "norm": (SGD, 0, 0, 1.8),
    "norm_momentum": (MOMENTUM, 0, 0, 1.8),
    "all_adamw": (ADAMW, 0.1, 0.1, 0.95),
}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(5)
    make = lambda *sizes: torch.randn(*sizes, dtype=torch.float64)
    start = {"w1": make(HIDDEN, FEATURES) / 2, "b1": make(HIDDEN), "w2": make(CLASSES, HIDDEN) / 2, "b2": make(CLASSES)}
    x = make(STEPS, ROWS, FEATURES)
    t = (x @ make(FEATURES, CLASSES)).argmax(-1)
    # Numbers that f32 holds as well: both types start from the same ones.
    x, start = x.float().double(), {name: p.float().double() for name, p in start.items()}
    kept = {"x": x.numpy(), "t": t.numpy()}
    kept.update({"init." + name: p.numpy().copy() for name, p in start.items()})
    for run, (optimizer_of, smoothing, value, norm) in RUNS.items():
        params = {name: p.clone().requires_grad_() for name, p in start.items()}
        optimizer, losses, clipped = optimizer_of(params.values()), [], {"value": 0, "norm": 0}
        for step in range(STEPS):
            hidden = functional.leaky_relu(functional.linear(x[step], params["w1"], params["b1"]), 0.1)
            logits = functional.linear(hidden, params["w2"], params["b2"])
            loss = functional.cross_entropy(logits, t[step], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            if value:
                clipped["value"] += sum((p.grad.abs() > value).sum().item() for p in params.values())
                clip_grad_value_(params.values(), value)
            if norm:
                clipped["norm"] += (clip_grad_norm_(params.values(), norm) > norm).item()
            optimizer.step()
            losses.append(loss.item())
        # Some are clipped, and some are not.
        elements = STEPS * sum(p.numel() for p in params.values())
        assert not value or 0 < clipped["value"] < elements, (run, clipped)
        assert not norm or 0 < clipped["norm"] < STEPS, (run, clipped)
        print(run, clipped, losses[0], losses[-1])
        kept[run + ".loss"] = np.array(losses)
        kept.update({f"{run}.final.{name}": p.detach().numpy().copy() for name, p in params.items()})
    np.savez_compressed(pathlib.Path(__file__).with_name("runs.npz"), **kept)


main()
