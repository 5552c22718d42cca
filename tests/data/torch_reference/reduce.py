"""Makes runs.npz of the training runs that generate.py writes: what the tests keep of them.

Run: /usr/bin/python3 reduce.py FOLDER    (needs python3-numpy; FOLDER holds the .npz files of generate.py)

runs.npz holds, once for all runs, x [640, 64] u8 (pixels 0..16) and t [640] i64; for each model (neg has those of mlp)
  MODEL.init.NAME f32 [...]   the parameters before the first step, the same in both types
and for each run, MODEL_OPTIMIZER_TYPE,
  RUN.loss [20], RUN.grad0.NAME, RUN.final.NAME    of the tensors every 13th element, row-major
"""
import pathlib
import sys

import numpy as np

STRIDE = 13


def main():
    folder, kept = pathlib.Path(sys.argv[1]), {}
    for path in sorted(folder.glob("*.npz")):
        run, data = path.stem, np.load(path)
        model = run.split("_")[0]
        pixels = np.round(data["x"].reshape(-1, 64) * 16)
        assert np.array_equal(pixels / 16, data["x"].reshape(-1, 64))
        kept["x"], kept["t"] = pixels.astype(np.uint8), data["t"]
        kept[run + ".loss"] = data["loss"]
        for name in data.files:
            part, _, tensor = name.partition(".")
            if part == "init":
                assert np.array_equal(data[name], data[name].astype(np.float32))
                shared = {"neg": "mlp"}.get(model, model)
                kept[f"{shared}.init.{tensor}"] = data[name].astype(np.float32)
            elif part in ("grad0", "final"):
                kept[f"{run}.{name}"] = data[name].reshape(-1)[::STRIDE]
    np.savez_compressed(pathlib.Path(__file__).with_name("runs.npz"), **kept)


main()
