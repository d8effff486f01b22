"""Which differences between two runs are taken for the cause of different results."""

from types import SimpleNamespace

import pytest
from support.modules import PACKAGE, imports_of

from nnlab.reproduction.certificate import certify
from nnlab.reproduction.differences import DECISIVE, differences
from nnlab.training.network import Params


def reached_from(*roots):
    """Paths of the modules that these import, directly or through others."""
    found, todo = set(), list(roots)
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        for name in imports_of(PACKAGE / path):
            if name.startswith("nnlab."):
                parts = name.split(".")[1:]
                both = ("/".join(parts), "/".join(parts[:-1]))  # a module, or a name in one
                todo += [f"{each}.py" for each in both if (PACKAGE / f"{each}.py").is_file()]
    return found


def test_decisive_modules_are_those_that_training_weights_config_and_summaries_are_made_with():
    reached = reached_from(
        "training/engine.py",
        "training/initializers.py",
        "jobs/config.py",
        "data/dataset.py",
        "training/outcomes.py",
    )
    assert (
        reached - {"errors.py", "arrays.py", "safe_text.py"} == DECISIVE
    )  # no result depends on these


def record(**changes):
    """As much of a record as is compared."""
    environment = {
        "python": "3.11.7", "os": "Linux", "processor": "A", "instructions": {"found": ["AVX2"]},
        "cores": 2, "blas": [{"version": "1", "architecture": "Zen"}], "variables": {},
        "packages": {"numpy": "2.4.6", "mlflow": "3.17.2"},
    }  # fmt: skip
    modules = {"training/engine.py": "a" * 64, "tracking/ui.py": "b" * 64}
    import numpy as np

    plain = {
        "run": SimpleNamespace(
            run_id="f" * 32, name="a run", params={"init.scale": "0.01"},
            tags={"data_digest": "d" * 64, "git_commit": "c" * 40, "git_dirty": "false"},
        ),
        "config_yaml": {"lr": 0.1, "init": {"name": "randn_small"}, "tracking": {"uri": None}},
        "config": SimpleNamespace(model_dump=lambda: {"lr": 0.1, "momentum": 0.0}, epochs=2),
        "semantics": "3", "modules": modules, "environment": environment, "faults": (),
        "weights_sha256": "e" * 64, "last_epoch": 2,
        "points": {("val/loss", 1): 1.0, ("val/loss", 2): 0.5},
        "weights": Params(*(np.ones((1, 2, 2)) for _ in range(4))),
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **changes})


def changed(part, **entries):
    return {part: {**getattr(record(), part), **entries}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (changed("config_yaml", lr=0.2), [("config", "lr", True)]),
        (changed("config_yaml", tracking={"uri": "x"}), []),
        (changed("config_yaml", momentum=0.0), []),  # the default of a field that was added since
        (changed("config_yaml", momentum=0.9), [("config", "momentum", True)]),
        ({"semantics": "2"}, [("code", "version of the training code's meaning", True)]),
        (
            changed("modules", **{"training/engine.py": "x" * 64}),
            [("code", "nnlab/training/engine.py", True)],
        ),
        (
            changed("modules", **{"tracking/ui.py": "x" * 64}),
            [("code", "nnlab/tracking/ui.py", False)],
        ),
        (
            changed("environment", packages={"numpy": "2.2.6", "mlflow": "3.18"}),
            [("libraries", "numpy", True), ("libraries", "mlflow", False)],
        ),
        (changed("environment", processor="B"), [("BLAS or processor", "processor", True)]),
        (
            changed("environment", blas=[{"version": "2", "architecture": "Zen"}]),
            [("BLAS or processor", "blas", True)],
        ),
        (
            changed("environment", variables={"OPENBLAS_CORETYPE": "Haswell"}),
            [("BLAS or processor", "variables", True)],
        ),
        (changed("environment", cores=8), [("BLAS or processor", "cores", False)]),
        (changed("environment", python="3.12.1"), [("libraries", "python", False)]),
        (  # which an archive from elsewhere may not have
            {
                "environment": {
                    key: value for key, value in record().environment.items() if key != "python"
                }
            },
            [("libraries", "python", False)],
        ),
        ({"faults": ("weights.npz is gone",)}, [("record", "weights.npz is gone", True)]),
    ],
)
def test_what_differs_is_named_and_whether_it_can_matter(changes, expected):
    found = differences(record(), record(**changes))
    assert [(each.kind, each.what, each.decisive) for each in found] == expected


def test_a_result_that_differs_without_a_known_reason_is_unexplained():
    again = record(weights_sha256="0" * 64, points={**record().points, ("val/loss", 2): 0.9})
    found = certify(record(), again)
    assert (found.verdict, found.causes) == ("different", ("unexplained",))
    assert (found.beyond.metric, found.beyond.epoch) == ("val/loss", 2)
    assert found.beyond.size == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "tolerance", "verdict"),
    [(1e-4, 1e-3, "within tolerance"), (1e-4, 1e-5, "different"), (float("nan"), 1, "different")],
)
def test_the_tolerance_decides_between_within_and_different(change, tolerance, verdict):
    points = {**record().points, ("val/loss", 2): 0.5 + change}
    again = record(weights_sha256="0" * 64, points=points)
    assert certify(record(), again, tolerance).verdict == verdict


def test_a_value_that_is_missing_is_a_deviation():
    found = certify(record(), record(points={("val/loss", 1): 1.0}))
    assert found.verdict == "different"
    assert found.first.epoch == 2
