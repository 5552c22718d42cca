"""Losses with their gradients, made with PyTorch (Debian's python3-torch, 1.13): losses.npz.

Run: /usr/bin/python3 generate.py    (needs python3-torch and python3-numpy)

losses.npz holds the operands by name, in f64 but of f32's precision, labels in i64, and for each run,
CASE.REDUCTION.TYPE,
  RUN.loss        [] or, where nothing is reduced, one for each element or row
  RUN.prediction  the gradient for the prediction: of the loss, or, where nothing is reduced, of the sum of its products
                  with weights.CASE
  RUN.target      the same for the target, where that is differentiable

Among the operands are those at which a loss has a kink - no difference at all, differences of exactly delta, products of
exactly 1 - and logits that are 0, that are equal, and, in cases of their own, whose exp() overflows.

The hinge loss of a score s with the target 1 or -1 is, of PyTorch's losses, twice multi_margin_loss of the scores (s, 0)
with the class 0 or 1: max(0, 1 - s * target), whose gradient is 0 where s * target is 1.
"""
import pathlib

import numpy as np
import torch
from torch.nn import functional

TYPES = {"f32": torch.float32, "f64": torch.float64}


def make_operands(random):
    """Of f32's precision, so that both types have the same."""
    operands = {}

    def keep(name, values):
        operands[name] = np.asarray(values, dtype=np.float32).astype(np.float64)

    keep("number", random.normal(0, 2, (6, 5)))
    keep("wanted", random.normal(0, 2, (6, 5)))
    # Differences of 0, and of +-delta, of numbers that are no multiples of each other's last places.
    operands["number"][0], operands["wanted"][0] = [0, 1.5, -2, 3, 0.25], [0, 1.5, -2, 3, 0.25]
    operands["number"][1], operands["wanted"][1] = [1, -1, 2.5, -0.5, 4], [0, 0, 1.5, 0.5, 5]
    operands["number"][2], operands["wanted"][2] = [0.375, -0.375, 2, 1, -3], [0, 0, 1.625, 1.375, -2.625]
    keep("score", random.normal(0, 2, (6, 5)))
    operands["score"][0] = [1, -1, 0, 1, -1]
    keep("side", random.choice([-1.0, 1.0], (6, 5)))
    operands["side"][0] = [1, -1, 1, -1, 1]
    keep("logit", random.normal(0, 3, (6, 5)))
    operands["logit"][0] = [0, 0, 20, -20, 1e-3]
    keep("far_logit", [[100, -100, 1000, -1000, 89]])
    keep("far_truth", [[0, 0, 1, 1, 0.25]])
    keep("truth", random.choice([0.0, 1.0], (6, 5)))
    keep("part", random.uniform(0, 1, (6, 5)))
    operands["part"][0] = [0, 1, 0.5, 0.5, 0.5]
    keep("logits", random.normal(0, 3, (6, 5)))
    operands["logits"][0] = [0, 0, 0, 0, 0]
    operands["logits"][1] = [7, 7, -3, 7, -3]
    keep("far_logits", [[1000, 0, -1000, 999, 1000], [-2e4, 2e4, 0, 1e4, 89]])
    operands["far_label"] = np.array([2, 0])
    operands["label"] = random.integers(0, 5, 6)
    operands["label"][:3] = [3, 1, 3]
    keep("one_hot", np.eye(5)[operands["label"]])
    parts = random.dirichlet(np.ones(5), 6)
    parts[0] = [0, 0.5, 0, 0.25, 0.25]
    keep("probability", parts)
    keep("image_logits", random.normal(0, 3, (4, 5, 3)))
    operands["image_label"] = random.integers(0, 5, (4, 3))
    keep("image_probability", np.moveaxis(random.dirichlet(np.ones(5), (4, 3)), -1, 1))
    return operands


def hinge(score, side, reduction):
    scores = torch.stack([score.reshape(-1), torch.zeros_like(score).reshape(-1)], dim=1)
    losses = 2 * functional.multi_margin_loss(scores, (side.reshape(-1) < 0).long(), reduction="none")
    losses = losses.reshape(score.shape)
    return {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]


def cases():
    """By name: the operands, and the loss of them."""
    def with_(loss, **options):
        return lambda x, t, reduction: loss(x, t, reduction=reduction, **options)

    binary, classes = functional.binary_cross_entropy_with_logits, functional.cross_entropy
    result = {
        "mse": ("number", "wanted", with_(functional.mse_loss)),
        "l1": ("number", "wanted", with_(functional.l1_loss)),
        "huber": ("number", "wanted", with_(functional.huber_loss)),
        "huber_0.375": ("number", "wanted", with_(functional.huber_loss, delta=0.375)),
        "hinge": ("score", "side", hinge),
        "binary_hard": ("logit", "truth", with_(binary)),
        "binary_soft": ("logit", "part", with_(binary)),
        "binary_far": ("far_logit", "far_truth", with_(binary)),
    }
    for smoothing in (0, 0.1):
        for target in ("label", "one_hot", "probability"):
            result[f"{target}_{smoothing}"] = ("logits", target, with_(classes, label_smoothing=smoothing))
        for target in ("image_label", "image_probability"):
            result[f"{target}_{smoothing}"] = ("image_logits", target, with_(classes, label_smoothing=smoothing))
        result[f"far_label_{smoothing}"] = ("far_logits", "far_label", with_(classes, label_smoothing=smoothing))
    return result


def main():
    torch.set_num_threads(1)
    random = np.random.default_rng(5)
    kept = make_operands(random)
    for case, (prediction, target, loss_of) in cases().items():
        for reduction in ("mean", "sum", "none"):
            for suffix, dtype in TYPES.items():
                x = torch.tensor(kept[prediction], dtype=dtype, requires_grad=True)
                t = torch.tensor(kept[target])
                if t.is_floating_point():
                    t = t.to(dtype).requires_grad_(case != "hinge")
                loss = loss_of(x, t, reduction)
                weights = f"weights.{case}"
                if reduction == "none" and weights not in kept:
                    kept[weights] = random.normal(0, 1, loss.shape).astype(np.float32).astype(np.float64)
                upstream = torch.tensor(kept[weights], dtype=dtype) if reduction == "none" else None
                loss.backward(upstream)
                start = f"{case}.{reduction}.{suffix}."
                kept[start + "loss"] = loss.detach().numpy()
                kept[start + "prediction"] = x.grad.numpy()
                if t.requires_grad:
                    kept[start + "target"] = t.grad.numpy()
    np.savez_compressed(pathlib.Path(__file__).with_name("losses.npz"), **kept)


main()
