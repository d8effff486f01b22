"""The search with Optuna: real processes, a real study in SQLite."""

import math
import signal

import pytest
from support.commands import run_py
from support.labs import Lab

optuna = pytest.importorskip("optuna")
COMPLETE, PRUNED, FAIL, RUNNING = (
    optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)

OPTUNA = (
    "-m", "hydra/sweeper=nnlab_optuna", "data.val_size=4000", "pictures=0",
    "hydra.launcher.n_jobs=1", "hydra.sweeper.seed=1",
)  # fmt: skip
SEARCH = (
    *OPTUNA, "lr=tag(log,interval(0.0001,1))", "init=he", "epochs=15", "hydra.sweeper.n_trials=24",
)  # fmt: skip


class Searches(Lab):
    """A store with a study beside it."""

    def run(self, *words):
        done = run_py(*words, root=self.root)
        return done.returncode, done.stdout, done.stderr

    @property
    def url(self):
        return f"sqlite:///{self.root}/mlruns/optuna.db"

    def study(self, name=None):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna.load_study(study_name=name, storage=self.url)

    def trials(self, name=None):
        """What of each trial must not depend on what happened to the search."""
        return [
            (trial.number, trial.params, trial.state, trial.value)
            for trial in self.study(name).trials
        ]

    def check_once(self):
        """Each trial is told, has values and a run of its own, and no run was made twice."""
        trials = self.study().trials
        assert all(trial.state.is_finished() for trial in trials)
        runs = {run.info.run_id: run for run in self.children()}
        assert {trial.user_attrs["run_id"] for trial in trials} == set(runs)
        keys = [run.data.tags["run_key"] for run in runs.values()]
        assert len(set(keys)) == len(keys) == len(trials)
        for trial in trials:
            metrics = runs[trial.user_attrs["run_id"]].data.metrics
            assert trial.value == metrics["final_val_accuracy"]
            assert float(runs[trial.user_attrs["run_id"]].data.params["lr"]) == trial.params["lr"]


@pytest.fixture
def searches(tmp_path):
    return Searches(tmp_path)


def test_a_seeded_search_finds_the_better_learning_rates_and_says_how_to_go_on(searches):
    code, out, err = searches.run(*SEARCH)
    assert code == 0, err
    searches.check_once()
    study = searches.study()
    assert len(study.trials) == 24
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    # A learning rate drawn at random is as often below 0.01, where nothing is learned, as above.
    assert all(trial.params["lr"] > 0.01 for trial in study.trials[16:])
    assert 0.05 < study.best_params["lr"] < 1

    assert f"Best trial: lr={study.best_params['lr']}" in out
    assert study.best_trial.user_attrs["run_id"] in out
    assert f"{study.study_name} in {searches.url}" in out
    assert "the same command with hydra.sweeper.n_trials=48" in out
    recorded = dict(searches.ask("SELECT key, value FROM tags WHERE key LIKE 'optuna_%'"))
    assert recorded == {
        "optuna_study": study.study_name, "optuna_sampler": "tpe", "optuna_trials": "24",
    }  # fmt: skip

    code, again, err = searches.run(*SEARCH)
    assert code == 0, err
    assert out.endswith(again)  # after the table of the runs
    assert len(searches.children()) == 24


@pytest.mark.long
def test_two_processes_share_the_trials_of_a_study(searches):
    words = (*SEARCH, "hydra.sweeper.n_trials=12", "hydra.sweeper.batch=2", "epochs=5")
    processes = [searches.start(*words) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    assert len(searches.study().trials) == 12
    searches.check_once()


def test_a_loss_is_minimised_and_pruned_and_diverged_runs_are_told_as_such(searches):
    code, _, err = searches.run(
        *OPTUNA, "lr=0.1,0.3,0.5,1e30", "init=randn,he", "epochs=30", "objective=final_val_loss",
        "hydra.sweeper.sampler=grid", "prune=halving", "prune.rungs=[20]",
    )  # fmt: skip
    assert code == 0, err
    study = searches.study()
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    runs = {run.info.run_id: run.data for run in searches.children()}
    assert len(study.trials) == len(runs) == 8
    outcomes = []
    for trial in study.trials:
        run = runs[trial.user_attrs["run_id"]]
        outcomes.append(run.tags["outcome"])
        if outcomes[-1] == "pruned":
            assert trial.state == PRUNED
            assert trial.intermediate_values == {20: run.metrics["val/loss"]}
            assert trial.user_attrs["reason"].startswith("pruned at epoch 20")
        elif outcomes[-1] == "diverged":
            assert (trial.state, trial.value) == (COMPLETE, math.inf)
            assert trial.params["lr"] == 1e30
        else:
            assert (trial.state, trial.value) == (COMPLETE, run.metrics["final_val_loss"])
    assert set(outcomes) == {"pruned", "diverged", "stalled"}
    assert study.best_value == min(
        run.metrics["final_val_loss"] for run in runs.values() if "final_val_loss" in run.metrics
    )


@pytest.mark.long
def test_a_run_that_fails_is_a_failed_trial_and_is_not_tried_again(searches):
    code, out, err = searches.run(
        *OPTUNA, "hidden_size=5,1000000000", "lr=0.1,0.2", "epochs=3", "hydra.sweeper.n_trials=10",
        "hydra.sweeper.batch=3",
    )  # fmt: skip
    assert code == 1
    assert "runs failed; the reasons are above" in err
    trials = searches.study().trials
    assert len(trials) == 10
    for trial in trials:
        failed = trial.params["hidden_size"] == 1000000000
        assert trial.state == (FAIL if failed else COMPLETE)
        assert ("DoesNotFitError" in trial.user_attrs.get("reason", "")) == failed
    points = {tuple(trial.params.values()) for trial in trials}
    assert len(searches.children()) == len(points) < 10  # a repeated trial takes its run's result
    assert f"{sum(trial.state == FAIL for trial in trials)} fail" in out


@pytest.mark.long
def test_a_search_that_was_killed_continues_to_the_trials_of_an_undisturbed_one(tmp_path):
    longer = (
        *SEARCH, "epochs=40",
        "hydra.launcher.stack=3",
    )  # fmt: skip
    undisturbed, stopped = Searches(tmp_path / "undisturbed"), Searches(tmp_path / "stopped")
    code, _, err = undisturbed.run(*longer)
    assert code == 0, err

    process = stopped.start(*longer)  # its second batch is under way
    stopped.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", 10)
    process.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    states = [state for _, _, state, _ in stopped.trials()]
    assert states.count(RUNNING) == 8

    code, _, err = stopped.run(*longer)
    assert code == 0, err
    assert "runs left" in err  # those that were under way went on from where they were
    assert stopped.trials() == undisturbed.trials()
    stopped.check_once()
    assert stopped.ask("SELECT count(*) FROM runs WHERE status != 'FINISHED'") == [(0,)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("lr=interval(0,1)",), "lr=0.0 is not allowed: lr must be a number above 0."),
        (("tracking.every=1,2",), "tracking.every cannot be searched: it does not change a run's"),
        (("lr=interval(0.1,1)", "hydra.sweeper.direction=minimize"), "a loss is minimised"),
        (("lr=interval(0.1,1)", "hydra.sweeper.batch=0"), "hydra.sweeper.batch must be a whole"),
        (("lr=interval(0.1,1)", "hydra.sweeper.storage=sqlite:///{root}/no.db"), "not a database"),
    ],
)
@pytest.mark.long
def test_what_cannot_be_searched_is_said_before_anything_is_made(searches, words, sentence):
    (searches.root / "no.db").write_text("This is not a database." * 100)
    code, _, err = searches.run(*OPTUNA, *(word.format(root=searches.root) for word in words))
    assert code == 2
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not searches.database.exists()
