"""The studies of ``conf/experiment/``: what each says on top is what it does, and each runs."""

import re
import shlex
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
from support.commands import python, run_py
from support.paths import ROOT

from nnlab.errors import ConfigError
from nnlab.jobs.compose import compose_grid
from nnlab.jobs.study import Study
from nnlab.jobs.sweep import Sweep
from nnlab.training.initializers import INIT_NAMES

STUDIES = {path.stem: path for path in sorted((ROOT / "conf" / "experiment").glob("*.yaml"))}

# Each study cut down to something tiny, and the fields that still vary then.
TINY = ("data=mnist_sample", "data.val_size=4600", "epochs=1", "threads=1")
CUT = {
    "init_scale": (("init=randn_minus_half,he", "seed=0,1", "lr=0.1"), {"init", "seed"}),
    "init_bias": (("init=randn_minus_half,he", "seed=0,1", "lr=0.1"), {"init", "seed"}),
    "init_batches": (("init=randn_minus_half,he", "seed=0,1", "lr=0.1"), {"init", "seed"}),
    "init_long": (("init=rand_minus_half,randn", "seed=0,1", "lr=0.1"), {"init", "seed"}),
    "init_exact": (("init=randn_minus_half,he", "seed=0,1"), {"init", "seed"}),
    "scale_lr_map": (("init.scale=0.01,1", "lr=0.1,1", "seed=0"), {"init.scale", "lr"}),
    "hidden_size": (("hidden_size=5,10", "seed=0,1"), {"hidden_size", "seed"}),
    "stability_edge": (("init.scale=0.01,1", "seed=0,1"), {"init.scale", "seed"}),
}


def head(name):
    """The comments at the top of a study's file, without their marks."""
    lines = STUDIES[name].read_text(encoding="utf-8").splitlines()
    top = lines[: next(at for at, line in enumerate(lines) if not line.startswith("#"))]
    return "\n".join(line.lstrip("# ") if line != "#" else "" for line in top)


def command(name):
    """The command that a study's file documents."""
    return re.search(r"^Command: (.+)$", head(name), re.MULTILINE)[1]


@cache
def grid(name):
    """All configs of a study, and the fields in which they differ."""
    jobs, configs, *_ = compose_grid([f"experiment={name}"])
    return configs, set(Sweep.of(configs, jobs).varying)


def test_there_are_these_studies():
    assert set(STUDIES) == set(CUT)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_says_its_question_its_command_and_what_is_expected(name):
    _, question, way, expected, *_ = head(name).split("\n\n")
    assert question.startswith("Question: ")
    assert "?" in question
    assert way.startswith("Command: ")
    assert expected.startswith("Expected: ")
    way_in = "nnlab stability" if name == "stability_edge" else "python run.py -m"
    assert command(name) == f"{way_in} experiment={name}"


@pytest.mark.parametrize(
    ("name", "count", "varying"),
    [
        ("init_scale", 6 * 3 * 5, {"init", "lr", "seed"}),
        ("init_bias", 6 * 3 * 5, {"init", "lr", "seed"}),
        ("init_batches", 6 * 3 * 5, {"init", "lr", "seed"}),
        ("init_long", 2 * 3 * 5, {"init", "lr", "seed"}),
        ("init_exact", 6 * 5, {"init", "seed"}),
        ("scale_lr_map", 12 * 12 * 5, {"init.scale", "lr", "seed"}),
        ("hidden_size", 6 * 5, {"hidden_size", "seed"}),
        ("stability_edge", 8 * 5, {"init.scale", "seed"}),
    ],
)
def test_a_study_is_the_grid_that_it_says_on_its_data(name, count, varying):
    configs, found = grid(name)
    data = ("mnist_sample", 1000) if name == "init_exact" else ("mnist", 19_000)
    assert len(configs) == len({config.key("") for config in configs}) == count
    assert found == varying
    assert {(config.data.source, config.data.val_size) for config in configs} == {data}
    assert {config.tracking.experiment for config in configs} == {name}


def test_the_inits_of_the_first_study_are_those_of_the_notes_and_two_rules():
    configs, _ = grid("init_scale")
    assert {config.init.name for config in configs} == set(INIT_NAMES[:6])
    assert {config.lr for config in configs} == {0.05, 0.1, 0.5}
    assert {config.epochs for config in configs} == {500}


def test_the_follow_ups_of_the_first_study_change_what_they_say():
    assert {config.init.bias for config in grid("init_bias")[0]} == {"same"}
    assert {config.batch_size for config in grid("init_batches")[0]} == {64}
    assert {config.epochs for config in grid("init_long")[0]} == {2000}
    exact, _ = grid("init_exact")
    assert {(config.dtype, config.lr, config.epochs) for config in exact} == {("exact", 0.5, 500)}


def test_the_map_is_even_on_log_axes_from_end_to_end():
    configs, _ = grid("scale_lr_map")
    for values, ends in (
        ({config.init.scale for config in configs}, (1e-4, 3)),
        ({config.lr for config in configs}, (0.003, 3)),
    ):
        axis = np.array(sorted(values))
        assert (axis[0], axis[-1]) == ends
        np.testing.assert_allclose(axis, np.geomspace(*ends, 12), rtol=0.06)  # two digits each


def test_every_hidden_size_gets_the_same_time():
    configs, _ = grid("hidden_size")
    assert {config.hidden_size for config in configs} == {5, 10, 20, 50, 100, 300}
    for config in configs:
        assert config.epochs * (60 + config.hidden_size) == pytest.approx(14_400, rel=0.01)


def test_a_hidden_size_without_its_epochs_is_told_to_give_them():
    done = run_py("experiment=hidden_size", "hidden_size=7", "seed=0")
    assert done.returncode == 2
    assert "no entry for 7 here, only for 5, 10, 20, 50, 100, 300" in done.stderr
    words = ["experiment=hidden_size", "hidden_size=7", "seed=0", "epochs=9"]
    (config,) = compose_grid(words).configs
    assert config.epochs == 9


@pytest.mark.parametrize(
    "name",
    [name if name == "init_scale" else pytest.param(name, marks=pytest.mark.long) for name in CUT],
)
def test_a_study_runs_by_its_command(name, store):
    import mlflow

    cut, varying = CUT[name]
    program, *words = shlex.split(command(name))
    words[:0] = [] if program == "python" else ["-m", program]
    if name != "stability_edge":
        words += ["pictures=0", "hydra.launcher.n_jobs=1"]
    words += [*TINY, *cut, f"tracking.uri={store}"]
    done = python(*words)
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(runs) == len(children) + 1
    assert Counter(run.info.status for run in runs) == {"FINISHED": len(runs)}
    settings = {
        tuple(run.data.params["init.name" if each == "init" else each] for each in sorted(varying))
        for run in children
    }
    assert len(settings) == len(children) == 4
    assert (STUDIES.keys() - {name}).isdisjoint(each.name for each in client.search_experiments())
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["study"] == name
    typed = ["python", *words] if words[0] == "run.py" else words[1:]
    assert shlex.split(parent.data.tags["command"]) == typed
    kept = Path(url2pathname(urlparse(parent.info.artifact_uri).path)) / "study.yaml"
    assert kept.read_bytes() == STUDIES[name].read_bytes()


def test_a_study_is_read_from_its_file():
    study = Study("init_scale", STUDIES["init_scale"].read_text(encoding="utf-8"))
    assert study.question.startswith("which of the notes' initial weights learn, at which")
    assert study.question.endswith("the video types `rand − 0.5`.")
    assert study.expected.endswith("should need the fewest epochs.")
    assert study.reference.metric == "final_val_accuracy"
    assert study.reference.source.startswith("measured by code independent of this project, in the")
    assert len(study.reference.figures) == 15
    assert study.reference.figures["init=he", "lr=0.5"] == 0.91
    published = Study("hidden_size", STUDIES["hidden_size"].read_text(encoding="utf-8")).reference
    assert published.figures == {("hidden_size=300",): 0.953}
    assert published.source.startswith("of two layers with 300 hidden units: 4.7 % test error")
    assert Study("none", "# Question: why?").reference is None
    assert Study("mine", "lr: 3\n# Question: after the fields?").question == ""


@pytest.mark.long
def test_a_study_sweeps_without_the_flag_too(store):
    cut, _ = CUT["init_scale"]
    done = run_py("experiment=init_scale", *TINY, *cut, "pictures=0", f"tracking.uri={store}")
    assert done.returncode == 0, done.stderr
    assert ": 4 runs" in done.stdout


@pytest.mark.parametrize("name", ["init_scale", "stability_edge"])
def test_the_config_of_a_study_can_be_looked_at(name):
    done = run_py("--cfg", "job", f"experiment={name}")
    assert done.returncode == 0, done.stderr
    assert f"experiment: {name}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["-m", "experiment=init_scal"],
            (
                f"experiment=init_scal is not allowed: experiment is one of {', '.join(STUDIES)}. "
                "Did you mean experiment=init_scale?"
            ),
        ),
        (
            ["-m", "experiment=init_scale", "--cfg", "job"],
            "-m, --cfg and --info exclude each other: leave -m out.",
        ),
    ],
)
def test_a_slip_with_a_study_gets_a_sentence(arguments, sentence):
    done = run_py(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip() == sentence


def test_the_help_and_the_main_config_name_every_study():
    done = run_py("--help")
    assert f"experiment: {', '.join(STUDIES)}" in done.stdout
    main = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8")
    listed = main[main.index("- experiment:") : main.index("- override")]
    assert all(name in listed for name in STUDIES)


def test_a_study_gives_way_to_what_is_typed():
    words = ["experiment=init_scale", "lr=2", "init=lecun", "seed=7", "epochs=3"]
    configs = compose_grid(words).configs
    (config,) = configs
    assert (config.lr, config.init.name, config.seed, config.epochs) == (2, "lecun", 7, 3)


def test_an_optimisers_interval_is_not_a_grid():
    with pytest.raises(Exception, match="needs a sweeper that searches"):
        compose_grid(["lr=interval(0.1,1)"])


def test_a_grid_of_configs_is_checked_like_any_other():
    with pytest.raises(ConfigError, match="lr=-1 is not allowed"):
        compose_grid(["lr=0.1,-1"])
