"""A sweep's names, and what all its jobs must share."""

import pytest

from nnlab.errors import ConfigError
from nnlab.jobs.config import from_mapping
from nnlab.jobs.sweep import Sweep, field_of, job_name

CONFIG = {
    "lr": 0.1, "epochs": 5, "hidden_size": 10, "init": {"name": "he"}, "seed": 0,
    "batch_size": None, "dtype": "float32", "target_accuracy": 0.8,
    "data": {"source": "mnist_sample", "name": "mnist_sample"}, "tracking": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "defaults"),
        (["lr=0.5", "seed=3"], "lr=0.5 seed=3"),
        (["init=he", "data=mnist", "data.val_size=9"], "init=he data=mnist data.val_size=9"),
        (["prune=halving", "prune.eta=2"], "prune=halving prune.eta=2"),
        (["++init.scale=2"], "init.scale=2"),
        (["tracking.uri=x", "data.dir=x", "data.path=x", "threads=2", "++threads=2"], "defaults"),
        (["pictures=0", "run_name=x", "reuse=true", "objective=best_val_accuracy"], "defaults"),
        (["derived_from=x", "model=true", "hydra/launcher=nnlab"], "defaults"),
        (["hydra.launcher.n_jobs=2", "tracking={uri: null}"], "defaults"),
    ],
)
def test_a_run_is_named_after_what_can_change_its_result(overrides, name):
    assert job_name(overrides) == name


def test_a_sweep_is_named_after_what_varies_and_a_long_list_of_values_becomes_a_range():
    jobs = [[f"lr={lr}", "epochs=5", f"seed={seed}"] for lr in (0.1, 0.5) for seed in range(6)]
    sweep = Sweep.of([from_mapping(CONFIG)] * 12, jobs)
    assert sweep.varying == ("lr", "seed")
    assert sweep.name == "lr=0.1,0.5 seed=0…5 (6)"
    assert sweep.jobs[7].name == "lr=0.5 seed=1"


def test_names_and_values_are_the_numbers_of_the_config_however_they_were_typed():
    typed = [["lr=1e-1", "epochs=5.0", "run_name=1e1"], ["lr=2.", "epochs=5e0", "seed=${lr}"]]
    configs = [from_mapping({**CONFIG, "lr": lr}) for lr in (0.1, 2)]
    sweep = Sweep.of(configs, typed)
    assert sweep.name == "lr=0.1,2"
    assert [job.overrides for job in sweep.jobs] == [
        ("lr=0.1", "epochs=5", "run_name=1e1"), ("lr=2", "epochs=5", "seed=${lr}"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"tracking": {"uri": "x"}}, {"prune": {"rule": "halving", "rungs": [2]}}, {"reuse": True}],
)
def test_jobs_that_differ_in_what_belongs_to_the_sweep_are_refused(change):
    configs = [from_mapping(CONFIG), from_mapping({**CONFIG, **change})]
    with pytest.raises(ConfigError, match=f"{next(iter(change))} differs between the jobs of one"):
        Sweep.of(configs, [[], []])


def test_a_sweep_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="There is nothing to run"):
        Sweep.of([], [])


def test_the_field_of_an_override_is_read_without_its_marks():
    overrides = ("lr=1", "++prune.eta=2", "~pictures", "+a.b={c: 1}")
    assert [field_of(override) for override in overrides] == ["lr", "prune.eta", "pictures", "a.b"]
