"""Sweeps whose results are made up, in real stores: nothing is trained."""

from nnlab.analysis.formatting import settings_text
from nnlab.training.outcomes import LATE

LEARNED = 0.8
NEVER = None  # a result that is missing: the run has failed
FIXED = {"epochs": "20", "batch_size": "full", "data.seed": "0", "target_accuracy": str(LEARNED)}


def write_sweep(tracker, configurations, seeds=None, tags=None, name="made up"):
    """Write a sweep.

    ``configurations`` are pairs of params and results, one for each of ``seeds`` (from 0 on, or
    pairs of ``seed`` and ``data.seed``). A result is an accuracy, ``NEVER``, or an outcome with or
    without an accuracy: ``("pruned", 0.5)``, ``"diverged"``. Return the sweep's id.
    """
    parent = tracker.start(name, {}, {"kind": "sweep", **(tags or {})})
    planned = 0
    for settings, results in configurations:
        for place, result in enumerate(results):
            seed = seeds[place] if seeds else place
            pair = seed if isinstance(seed, tuple) else (seed, 0)
            _write_run(tracker, parent, settings, pair, result, planned)
            planned += 1
    tracker.log(parent, [("runs/planned", planned, 0)], {})
    tracker.finish(parent, "FINISHED")
    return parent


def _write_run(tracker, parent, settings, seeds, result, place):
    outcome, accuracy = result if isinstance(result, tuple) else (None, result)
    if isinstance(result, str):
        outcome, accuracy = result, None
    params = {
        **FIXED, **{field: str(value) for field, value in settings.items()},
        "seed": str(seeds[0]), "data.seed": str(seeds[1]),
    }  # fmt: skip
    run_id = tracker.start(
        f"{settings_text(settings)} seed={seeds[0]}", params,
        {"job": str(place), "data_digest": f"{seeds[1]:064d}"}, parent=parent,
    )  # fmt: skip
    if outcome is None and accuracy is None:
        tracker.finish(run_id, "FAILED")
        return
    outcome = outcome or ("learned" if accuracy >= LEARNED else "stalled")
    points = [] if accuracy is None else [
        ("final_val_accuracy", accuracy, 20), (LATE, accuracy, 20),
        *((metric, accuracy * epoch / 20, epoch) for epoch in (0, 10, 20)
          for metric in ("val/accuracy", "train/loss", "dead_fraction")),
    ]  # fmt: skip
    if outcome == "pruned":
        points = [point for point in points if point[0] in ("val/accuracy", "train/loss")]
        points.append(("pruned_at", 10, 10))
    tracker.log(run_id, points, {"outcome": outcome})
    tracker.finish(run_id, "FINISHED")
