"""An Optuna study in a database, which several processes may continue, at once or in turn."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nnlab.errors import ConfigError
from nnlab.execution.ledger import differences
from nnlab.interrupts import deferred
from nnlab.jobs.tags import Tag
from nnlab.search.samplers import SearchSettings, grid, make_sampler
from nnlab.search.space import SearchSpace
from nnlab.search.storage import open_storage, readable_errors, use_log
from nnlab.tracking.database import file_lock
from nnlab.tracking.locations import local_database
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import RunRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# The metric of a pruned run, at its rung, that stands for an objective.
AT_RUNG = {
    "final_val_accuracy": "val/accuracy",
    "late_val_accuracy": "val/accuracy",
    "best_val_accuracy": "best_val_accuracy",
    "final_val_loss": "val/loss",
    "final_train_loss": "train/loss",
}


class Proposal(NamedTuple):
    """A trial that this process has to complete.

    Attributes
    ----------
    number : int
        Its place in the study.
    params : dict of str to Any
        Its values of the searched fields.
    """

    number: int
    params: dict[str, Any]


class SharedStudy:
    """A study of one search; each of its trials belongs to the process that completes it.

    Trials are proposed and claimed under a file lock, by one process at a time: none is made
    twice, and there are ``n_trials`` in all. What a dead process has left, the next one that
    looks completes. A process on another machine is taken to be alive.

    Parameters
    ----------
    settings : SearchSettings
    space : SearchSpace
    search : Mapping of str to str
        What makes values comparable: ``experiment``, ``objective``, the searched fields and the
        fixed ones.
    default : pathlib.Path
        The database where the settings name none. The lock is beside it.

    Attributes
    ----------
    name : str
    url : str
        The address of the database.
    n_trials : int
        As in the settings, or the number of a grid's points if that is smaller.

    Raises
    ------
    ConfigError
        Where the settings do not fit the space, or the study is one of another search.
    TrackingError
        From any method, where the database cannot be used.
    """

    def __init__(
        self, settings: SearchSettings, space: SearchSpace, search: Mapping[str, str], default: Path
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(logging.ERROR)
        self._settings = settings
        self._space = space
        self._objective = search["objective"]
        self._minimises = self._objective.endswith("loss")
        # Tells, in the place of the grid's sampler, which would stop the study at its last point.
        self._teller = optuna.samplers.RandomSampler()
        self.n_trials = settings.n_trials
        if settings.sampler == "grid":
            self.n_trials = min(self.n_trials, math.prod(map(len, grid(space).values())))
        digest = hashlib.sha256(json.dumps(search, sort_keys=True).encode()).hexdigest()
        self.name = settings.study_name or "-".join(
            (search["experiment"], *space.distributions, digest[:8])
        )
        database = local_database(settings.storage) if settings.storage else default
        self.url = str(settings.storage) if database is None else f"sqlite:///{database}"
        make_sampler(settings, space, 0)  # refuses what does not fit
        with readable_errors(self.url):
            default.parent.mkdir(parents=True, exist_ok=True)
            self._lock = file_lock(default.with_name(default.name + ".lock"))
        with self._lock, deferred(), readable_errors(self.url):
            if not settings.storage:
                use_log(default)
            self._storage = open_storage(self.url)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=self.name,
                sampler=self._teller,
                direction="minimize" if self._minimises else "maximize",
                load_if_exists=True,
            )
            self._id = self._storage.get_study_id_from_name(self.name)
            self._check(dict(search))

    def _check(self, search: dict[str, str]) -> None:
        """Record what the study searches, or refuse one that searches something else."""
        recorded = self._study.user_attrs.get("search")
        if recorded is None and not self._study.get_trials(deepcopy=False):
            self._study.set_user_attr("search", search)
        elif recorded != search:
            how = "; ".join(differences(recorded, search)) if recorded else "it is not nnlab's"
            raise ConfigError(
                f"hydra.sweeper.study_name={self.name} is the study of another search ({how}): "
                "name another study, or leave the name out."
            )

    def take(self) -> tuple[list[Proposal], bool]:
        """Return the trials to complete now, and whether they began in a process that died.

        The trials of dead processes come first, then ``batch`` new ones, up to ``n_trials`` in
        all. The list is empty where there are so many; another process may be at some of them.
        """
        from optuna.trial import TrialState

        with self._lock, deferred(), readable_errors(self.url):
            trials = self._study.get_trials(deepcopy=False)
            whole = [trial for trial in trials if self._space.holds(trial.params)]
            for trial in trials:
                if trial.state == TrialState.RUNNING and not self._space.holds(trial.params):
                    self._study.tell(trial.number, state=TrialState.FAIL)  # proposed in part
            left = [
                trial
                for trial in whole
                if trial.state == TrialState.RUNNING and not _is_at_work(trial)
            ]
            for trial in left:
                self._note(trial.number, "owner", str(ProcessId.this_process()))
            if left:
                return [Proposal(trial.number, dict(trial.params)) for trial in left], True
            end = min(len(whole) + self._settings.batch, self.n_trials)
            return [self._propose(place) for place in range(len(whole), end)], False

    def _propose(self, place: int) -> Proposal:
        self._study.sampler = make_sampler(self._settings, self._space, place)
        try:
            trial = self._study.ask(self._space.distributions)
        finally:
            self._study.sampler = self._teller
        self._note(trial.number, "owner", str(ProcessId.this_process()))
        return Proposal(trial.number, dict(trial.params))

    def tell(self, number: int, record: RunRecord | None) -> None:
        """Tell Optuna what became of a trial's run.

        * A finished run is a COMPLETE trial with its objective, and so is a dead one.
        * A diverged run is COMPLETE with the worst value, an accuracy of 0 or an infinite loss:
          samplers leave failed trials out of account, and would propose such values again. TPE
          and CMA-ES use the order of the values alone, so that infinity does no harm.
        * A pruned run is PRUNED, and its value at the rung an intermediate value: TPE ranks it
          behind the COMPLETE trials, by its epoch and then by this value; CMA-ES ignores it.
        * Any other run is FAIL, which every sampler ignores: an error says nothing of the values.
        """
        if record is None:
            self.fail(number, "its run did not come to an end")
            return
        outcome = record.tags.get(Tag.OUTCOME)
        worst = math.inf if self._minimises else 0.0
        with deferred(), readable_errors(self.url):
            self._note(number, "run_id", record.run_id)
            if Tag.REASON in record.tags:
                self._note(number, "reason", record.tags[Tag.REASON])
            if outcome is None:
                self._finish(number, "FAIL")
            elif outcome == "pruned":
                value = record.metrics.get(AT_RUNG[self._objective], worst)
                rung = int(record.metrics["pruned_at"])
                self._storage.set_trial_intermediate_value(self._trial_id(number), rung, value)
                self._finish(number, "PRUNED")
            elif outcome == "diverged":
                self._finish(number, "COMPLETE", worst)
            else:
                self._finish(number, "COMPLETE", record.metrics.get(self._objective, worst))

    def fail(self, number: int, reason: str) -> None:
        """Tell Optuna that a trial has no run."""
        with deferred(), readable_errors(self.url):
            self._note(number, "reason", reason)
            self._finish(number, "FAIL")

    def _finish(self, number: int, state: str, value: float | None = None) -> None:
        from optuna.trial import TrialState

        self._study.tell(number, value, TrialState[state], skip_if_finished=True)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _note(self, number: int, key: str, value: str) -> None:
        self._storage.set_trial_user_attr(self._trial_id(number), key, value)

    @property
    def began(self) -> int:
        """When the first trial was proposed: milliseconds since 1970, UTC."""
        with readable_errors(self.url):
            trials = self._study.get_trials(deepcopy=False)
        starts = (trial.datetime_start for trial in trials)
        return min(int(start.timestamp() * 1000) for start in starts if start is not None)

    @property
    def trials(self) -> list["FrozenTrial"]:
        """All trials that were proposed as a whole, in their order."""
        with readable_errors(self.url):
            trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if self._space.holds(trial.params)]

    @property
    def best(self) -> "FrozenTrial | None":
        """The best COMPLETE trial; None where there is none."""
        with readable_errors(self.url):
            try:
                return self._study.best_trial
            except ValueError:
                return None


def _is_at_work(trial: "FrozenTrial") -> bool:
    """Tell whether the process that completes a trial lives, as far as this machine can know."""
    owner = ProcessId.parse(trial.user_attrs.get("owner", ""))
    return owner is not None and (owner.lives if owner.is_here else True)
