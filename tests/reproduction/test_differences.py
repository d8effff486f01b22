"""Which differences between two runs are taken for the cause of different results."""

from types import SimpleNamespace

import pytest
from support.modules import PACKAGE, imports_of

from nnlab.reproduction.certificate import FAULT, certify
from nnlab.reproduction.differences import DECISIVE, differences
from nnlab.reproduction.growth import growth
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
        reached - {"errors.py", "arrays.py", "safe_text.py", "wording.py"} == DECISIVE
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
        "is_exact": False,
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
        (  # a kernel that runs anyway
            changed("environment", variables={"OPENBLAS_CORETYPE": "Zen"}),
            [("BLAS or processor", "OPENBLAS_CORETYPE", False)],
        ),
        (
            changed(
                "environment",
                blas=[{"version": "1", "architecture": "Haswell"}],
                variables={"OPENBLAS_CORETYPE": "Haswell"},
            ),
            [
                ("BLAS or processor", "blas", True),
                ("BLAS or processor", "OPENBLAS_CORETYPE", True),
            ],
        ),
        (  # numbers of threads, which training overrules, and another library's variable
            changed(
                "environment",
                blas=[{"version": "1", "architecture": "Zen", "threading_layer": "openmp"}],
                variables={"OMP_NUM_THREADS": "2", "MKL_CBWR": "AVX2"},
            ),
            [
                ("BLAS or processor", "blas", False),
                ("BLAS or processor", "OMP_NUM_THREADS", False),
                ("BLAS or processor", "MKL_CBWR", False),
            ],
        ),
        (
            changed("environment", instructions={"found": ["SSE3"]}),
            [("BLAS or processor", "instructions", True)],
        ),
        (  # another NumPy's names of the same instructions
            changed("environment", instructions={"found": ["X86_V3"]}, packages={"numpy": "2.5.0"}),
            [
                ("libraries", "numpy", True),
                ("libraries", "mlflow", False),
                ("BLAS or processor", "instructions", False),
            ],
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


def test_exact_runs_have_the_same_bits_on_any_machine_or_else_there_is_a_fault():
    exact = {"is_exact": True}
    other = changed("environment", processor="B", packages={"numpy": "2.5.0"})
    again = record(**exact, **other)
    assert not any(found.decisive for found in differences(record(**exact), again))
    same = certify(record(**exact), again)
    assert (same.verdict, same.expected) == ("bit-identical", "the same bits, as on any machine")
    later = record(**exact, modules={"training/engine.py": "f" * 64})
    assert certify(record(**exact), later).expected == same.expected
    points = {**record().points, ("val/loss", 2): 0.5 + 1e-12}
    found = certify(record(**exact), record(**exact, **other, points=points))
    assert (found.verdict, found.causes) == ("different", (FAULT,))


EPOCHS = 40
RECORDED = {("train/loss", epoch): 2.0 + 0.1 * (epoch % 2) for epoch in range(EPOCHS)}


def off_by(sizes):
    """The recorded losses, at each epoch off by so much."""
    return {place: value + sizes[place[1]] for place, value in RECORDED.items()}


def test_rounding_that_grows_by_a_factor_is_said_to_be_amplified_and_from_which_epoch_on():
    sizes = [1e-7 * 1.5**epoch for epoch in range(EPOCHS)]
    first = next(epoch for epoch, size in enumerate(sizes) if size / 2.1 > 1e-5)
    other = changed("environment", blas=[{"version": "1", "architecture": "Haswell"}])
    again = record(points=off_by(sizes), weights_sha256="0" * 64, **other)
    found = certify(record(points=RECORDED), again)
    assert (found.verdict, found.causes) == ("different", ("BLAS or processor",))
    assert (found.growth.amplified_from, found.growth.rises) == (first, EPOCHS // 2)
    assert f"amplified above 1e-05 from epoch {first} on, to " in str(found.growth)
    assert "the training loss rose in 20 of these epochs" in str(found.growth)


def test_rounding_that_stays_small_is_not_amplified():
    found = growth(RECORDED, [("train/loss", epoch, 2e-6) for epoch in range(EPOCHS)])
    assert found.amplified_from is None
    assert not str(found)


def test_a_difference_that_begins_large_is_not_blamed_on_rounding():
    other = changed("environment", blas=[{"version": "1", "architecture": "Haswell"}])
    again = record(points=off_by([0.1] * EPOCHS), weights_sha256="0" * 64, **other)
    found = certify(record(points=RECORDED), again)
    assert found.causes == ("unexplained",)
    assert "by 5.0e-02 at epoch 0 already: more than rounding" in str(found.growth)


def test_an_accuracy_that_jumps_by_an_image_is_no_growth():
    assert growth(RECORDED, [("val/accuracy", 3, 0.001)]) is None


@pytest.mark.parametrize("epoch", [0, 1])
def test_mini_batches_may_amplify_rounding_within_an_epoch_but_not_before_the_first(epoch):
    config = {**record().config_yaml, "batch_size": 16}
    sizes = [0.0] * epoch + [0.1] * (EPOCHS - epoch)
    other = changed("environment", blas=[{"version": "1", "architecture": "Haswell"}])
    again = record(points=off_by(sizes), config_yaml=config, weights_sha256="0" * 64, **other)
    found = certify(record(points=RECORDED, config_yaml=config), again)
    assert found.causes == (("BLAS or processor",) if epoch else ("unexplained",))
