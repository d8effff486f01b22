"""A small config that is valid, and others that differ from it in some fields."""

from nnlab.jobs.config import from_mapping

VALID = {
    "lr": 0.1,
    "epochs": 3,
    "hidden_size": 5,
    "init": {"name": "he", "bias": "zeros"},
    "seed": 0,
    "batch_size": None,
    "dtype": "float32",
    "target_accuracy": 0.8,
    "data": {"source": "mnist_sample", "name": "mnist_sample", "val_size": 4000, "seed": 0},
    "tracking": {"uri": None, "experiment": "nnlab"},
    "run_name": None,
    "threads": None,
    "pictures": 0,
}


def config(**changes):
    """The config with changes; ``init__name="he"`` changes one field of a group."""
    fields = dict(VALID)
    for path, value in changes.items():
        group, _, field = path.rpartition("__")
        if group:
            fields[group] = {**fields[group], field: value}
        else:
            fields[field] = value
    return from_mapping(fields)
