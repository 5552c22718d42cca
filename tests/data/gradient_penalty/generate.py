"""Steps of a WGAN-GP critic with LeakyReLU, made with PyTorch (Debian's python3-torch, 1.13): steps.npz.

Run: /usr/bin/python3 generate.py    (needs python3-torch and python3-numpy)

critic(x) = linear(leaky_relu(linear(x, w1, b1), 0.2), w2, b2)
loss      = mean(critic(fake)) - mean(critic(real)) + 10 * mean((norm(gradient of critic at between) - 1)^2)

steps.npz holds, in f64: real, fake, between [STEPS, ROWS, FEATURES], loss [STEPS], and of each parameter init.NAME,
grad0.NAME (of the first step) and final.NAME (after STEPS steps of Adam with rate 0.01, beta1 0.5, beta2 0.9).
"""
import pathlib

import numpy as np
import torch
from torch.nn import functional

STEPS, ROWS, FEATURES, HIDDEN = 4, 9, 6, 8


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    make = lambda *sizes: torch.randn(*sizes, dtype=torch.float64)
    params = {"w1": make(HIDDEN, FEATURES), "b1": make(HIDDEN), "w2": make(1, HIDDEN), "b2": make(1)}
    kept = {"init." + name: p.numpy().copy() for name, p in params.items()}
    for name in ("real", "fake", "between"):
        kept[name] = make(STEPS, ROWS, FEATURES).numpy()
    for p in params.values():
        p.requires_grad_()

    def critic(x):
        h = functional.leaky_relu(functional.linear(x, params["w1"], params["b1"]), 0.2)
        return functional.linear(h, params["w2"], params["b2"])

    optimizer, losses = torch.optim.Adam(params.values(), lr=0.01, betas=(0.5, 0.9)), []
    for step in range(STEPS):
        real, fake, between = (torch.tensor(kept[name][step]) for name in ("real", "fake", "between"))
        between.requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            # The last bias takes no part in a slope.
            kept.update({"grad0." + name: p.grad.numpy().copy() for name, p in params.items()})
        optimizer.step()
        losses.append(loss.item())
    kept["loss"] = np.array(losses)
    kept.update({"final." + name: p.detach().numpy().copy() for name, p in params.items()})
    np.savez_compressed(pathlib.Path(__file__).with_name("steps.npz"), **kept)


main()
