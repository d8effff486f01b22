"""A study that processes share: what is theirs, what a dead one has left, what is refused."""

import subprocess
import sys

import pytest

from nnlab.errors import ConfigError, TrackingError
from nnlab.search.samplers import SearchSettings
from nnlab.search.space import SearchSpace
from nnlab.search.study import SharedStudy
from nnlab.tracking.process import ProcessId

optuna = pytest.importorskip("optuna")

SPACE = SearchSpace(("epochs=2",), {"lr": optuna.distributions.FloatDistribution(0.1, 1)})
SEARCH = {"experiment": "nnlab", "objective": "final_val_loss", "epochs": "2"}


@pytest.fixture
def opened(tmp_path):
    def opened(search=SEARCH, space=SPACE, **changes):
        fields = dict.fromkeys(SearchSettings.model_fields) | {"n_trials": 8, "batch": 3}
        settings = SearchSettings(**{**fields, "sampler": "random", "seed": 0, **changes})
        return SharedStudy(settings, space, search, tmp_path / "optuna.db")

    return opened


@pytest.fixture
def outside(tmp_path, opened):
    """The study as Optuna itself opens it."""
    name = opened().name
    return lambda: optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path}/optuna.db")


def a_dead_process():
    code = "from nnlab.tracking.process import ProcessId; print(ProcessId.this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_trial_is_given_twice_and_there_are_so_many_in_all(opened):
    one, other = opened(), opened()
    taken = [one.take(), other.take(), one.take(), other.take()]
    assert [len(proposals) for proposals, _ in taken] == [3, 3, 2, 0]
    assert not any(left for _, left in taken)
    given = [proposal for proposals, _ in taken for proposal in proposals]
    assert sorted(proposal.number for proposal in given) == list(range(8))
    assert len({proposal.params["lr"] for proposal in given}) == 8
    assert len(opened(n_trials=9).take()[0]) == 1


@pytest.mark.parametrize(
    ("owner", "is_left"),
    [
        (a_dead_process, True),
        (lambda: "", True),  # killed before it signed the trial
        (lambda: str(ProcessId.this_process()), False),
        (lambda: "elsewhere:1:1.00", False),  # nothing is known of other machines
    ],
    ids=["dead", "unsigned", "alive", "elsewhere"],
)
def test_the_next_process_completes_what_a_dead_one_has_left(opened, outside, owner, is_left):
    trial = outside().ask(SPACE.distributions)
    trial.set_user_attr("owner", owner())
    proposals, left = opened().take()
    assert left == is_left
    assert (proposals == [(trial.number, trial.params)]) == is_left
    if left:  # and now it is this process's
        assert [len(found) for found, _ in (opened().take(), opened().take())] == [3, 3]


def test_a_trial_that_was_proposed_in_part_is_failed_and_does_not_count(opened, outside):
    outside().ask()
    study = opened(n_trials=3)
    assert [proposal.number for proposal in study.take()[0]] == [1, 2, 3]
    assert outside().trials[0].state == optuna.trial.TrialState.FAIL
    assert len(study.trials) == 3


def test_the_name_of_a_study_tells_what_is_searched(opened):
    first = opened()
    assert first.name.startswith("nnlab-lr-")
    assert opened(n_trials=99, batch=1, seed=5, sampler="tpe").name == first.name
    for other in ({"epochs": "3"}, {"objective": "final_val_accuracy"}, {"lr": "wider"}):
        assert opened(search={**SEARCH, **other}).name != first.name


def test_a_study_of_another_search_is_refused(opened, outside):
    name, other = opened().name, {**SEARCH, "epochs": "3"}
    with pytest.raises(ConfigError, match=r"another search \(epochs was 2, is 3\): name another"):
        opened(search=other, study_name=name)
    optuna.create_study(study_name="mine", storage=outside()._storage).ask()
    with pytest.raises(ConfigError, match=r"study_name=mine is .* \(it is not nnlab's\)"):
        opened(study_name="mine")


@pytest.mark.parametrize(
    ("storage", "cause"),
    [
        ("sqlite:///{}/text.db", "file is not a database"),
        ("sqlite:///{}/nowhere/study.db", "unable to open database file"),
        ("study", "Could not parse SQLAlchemy URL"),
    ],
)
def test_a_storage_that_cannot_be_used_is_named(opened, tmp_path, storage, cause):
    (tmp_path / "text.db").write_text("This is not a database." * 100)
    storage = storage.format(tmp_path)
    with pytest.raises(TrackingError, match=f"{storage} cannot be used: .*{cause}.* Check hydra"):
        opened(storage=storage)
