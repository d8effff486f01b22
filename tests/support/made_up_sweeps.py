"""Sweeps that nobody trained: runs of every outcome, with curves and snapshots, in any number."""

import numpy as np
import pandas as pd

from nnlab.analysis.explore import ExploreData
from nnlab.training.history import METRICS
from nnlab.training.snapshots import BINS, QUANTITIES

OUTCOMES = ("learned", "learned", "stalled", "dead", "diverged", "pruned", "FAILED")


def made_up_sweep(inits=2, rates=3, seeds=2, epochs=30, title="init=… lr=… seed=…"):
    """Runs of a grid; what becomes of one follows from its place in it."""
    rng = np.random.default_rng(0)
    rows, curves, snapshots = [], [], {}
    for number, (init, rate, seed) in enumerate(np.ndindex(inits, rates, seeds)):
        ending = OUTCOMES[(init + rate + (seed == 1)) % len(OUTCOMES)]
        run_id = rng.bytes(16).hex()
        end = {"diverged": epochs // 3, "pruned": epochs // 2, "FAILED": -1}.get(ending, epochs)
        best = {"learned": 0.9, "stalled": 0.6}.get(ending, 0.1) - 0.001 * number % 0.05
        steps = np.arange(end + 1)
        accuracy = best - (best - 0.1) * np.exp(-0.2 * steps)
        table = {name: rng.random(end + 1) for name in METRICS}
        dead = float(ending == "dead")
        table |= {"val/accuracy": accuracy, "dead_fraction": np.full(end + 1, dead)}
        curves.append({"run_id": np.repeat(run_id, end + 1), "epoch": steps, **table})
        final = best if ending in ("learned", "stalled", "dead") else np.nan
        rows.append({
            "run_id": run_id, "name": f"init=i{init} lr={0.01 * (rate + 1):g} seed={seed}",
            "sweep": None, "status": "FAILED" if ending == "FAILED" else "FINISHED",
            "outcome": None if ending == "FAILED" else ending, "data_digest": "d",
            "start_time": pd.Timestamp(number, unit="s", tz="UTC"), "init.name": f"i{init}",
            "lr": 0.01 * (rate + 1), "seed": seed, "target_accuracy": 0.8,
            "late_val_accuracy": final, "best_val_accuracy": np.nan if end < 0 else best,
            "dead_fraction": dead,
        })  # fmt: skip
        if ending != "FAILED":
            snapshots[run_id] = {
                epoch: rng.integers(0, 100, (len(QUANTITIES), BINS)) for epoch in (0, 3, epochs)
            }
    columns = {name: np.concatenate([curve[name] for curve in curves]) for name in curves[0]}
    runs = pd.DataFrame(rows)
    runs.attrs = {"params": ["init.name", "lr", "seed", "target_accuracy"], "metrics": []}
    fields = [name for name, levels in (("init.name", inits), ("lr", rates)) if levels > 1]
    return ExploreData(
        title, runs, fields, "late_val_accuracy", pd.DataFrame(columns), snapshots,
        len(snapshots), "http://127.0.0.1:20001/#/experiments/1/runs/",
    )  # fmt: skip
