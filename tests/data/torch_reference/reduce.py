"""Makes runs.npz of the training runs that generate.py writes: what of them is no repetition.

Run: /usr/bin/python3 reduce.py FOLDER    (needs python3-numpy; FOLDER holds the .npz files of generate.py)

runs.npz holds, once for all runs, x [640, 64] u8 (pixels 0..16) and t [640] i64; for each model (neg has those of mlp)
  MODEL.init.NAME f32 [...]          the parameters before the first step, the same in both types
for each model and type
  MODEL_TYPE.grad0.NAME [...]        the gradients of the first step, the same for every optimizer
and for each run, MODEL_OPTIMIZER_TYPE,
  RUN.loss [20], RUN.final.NAME [...]
"""
import pathlib
import sys

import numpy as np


def main():
    folder, kept = pathlib.Path(sys.argv[1]), {}

    def keep_one(name, values):
        assert np.array_equal(kept.setdefault(name, values), values)

    for path in sorted(folder.glob("*.npz")):
        run, data = path.stem, np.load(path)
        model, dtype = run.split("_")[0], run.split("_")[-1]
        pixels = np.round(data["x"].reshape(-1, 64) * 16)
        assert np.array_equal(pixels / 16, data["x"].reshape(-1, 64))
        keep_one("x", pixels.astype(np.uint8))
        keep_one("t", data["t"])
        kept[run + ".loss"] = data["loss"]
        for name in data.files:
            part, _, tensor = name.partition(".")
            if part == "init":
                shared = {"neg": "mlp"}.get(model, model)
                assert np.array_equal(data[name], data[name].astype(np.float32))
                keep_one(f"{shared}.init.{tensor}", data[name].astype(np.float32))
            elif part == "grad0":
                keep_one(f"{model}_{dtype}.{name}", data[name])
            elif part == "final":
                kept[f"{run}.{name}"] = data[name]
    np.savez_compressed(pathlib.Path(__file__).with_name("runs.npz"), **kept)


main()
