"""Steps of a network with batch_norm in training mode, made with PyTorch (Debian's python3-torch, 1.13): steps.npz.

Run: /usr/bin/python3 generate.py    (needs python3-torch and python3-numpy)

y    = linear(mean over positions(leaky_relu(batch_norm(conv(x, filter)), -0.2)), w, b)
loss = mean((y - target)^2)

steps.npz holds, in f64: x [STEPS, ROWS, 2, 4, 4], target [STEPS, ROWS, 3], loss [STEPS], of each parameter and running
statistic init.NAME and final.NAME (after STEPS steps of SGD with rate 0.1 and momentum 0.9), and evaluated, the output in
evaluation mode for the last x, after the last step.
"""
import pathlib

import numpy as np
import torch
from torch.nn import functional

STEPS, ROWS, CHANNELS = 5, 6, 4


def main():
    torch.set_num_threads(1)
    torch.manual_seed(23)
    make = lambda *sizes: torch.randn(*sizes, dtype=torch.float64)
    params = {"filter": make(CHANNELS, 2, 3, 3), "scale": 1 + 0.1 * make(CHANNELS), "bias": make(CHANNELS),
              "w": make(3, CHANNELS), "b": make(3)}
    running = {"mean": 0.1 * make(CHANNELS), "variance": 1 + make(CHANNELS).abs()}
    kept = {"init." + name: p.numpy().copy() for name, p in {**params, **running}.items()}
    kept["x"], kept["target"] = make(STEPS, ROWS, 2, 4, 4).numpy(), make(STEPS, ROWS, 3).numpy()
    for p in params.values():
        p.requires_grad_()

    def model(x, training):
        h = functional.conv2d(x, params["filter"])
        h = functional.batch_norm(h, running["mean"], running["variance"], params["scale"], params["bias"],
                                  training=training, momentum=0.25, eps=1e-3)
        h = functional.leaky_relu(h, -0.2).mean(dim=(2, 3))
        return functional.linear(h, params["w"], params["b"])

    optimizer, losses = torch.optim.SGD(params.values(), lr=0.1, momentum=0.9), []
    for step in range(STEPS):
        loss = functional.mse_loss(model(torch.tensor(kept["x"][step]), True), torch.tensor(kept["target"][step]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    kept["loss"] = np.array(losses)
    kept["evaluated"] = model(torch.tensor(kept["x"][-1]), False).detach().numpy()
    kept.update({"final." + name: p.detach().numpy().copy() for name, p in {**params, **running}.items()})
    np.savez_compressed(pathlib.Path(__file__).with_name("steps.npz"), **kept)


main()
