"""The rounds of a search: trials are proposed, their runs made, and the study told."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from nnlab.analysis.terminal import SafeConsole
from nnlab.errors import ConfigError, NothingLeftError, ResumeError
from nnlab.execution.progress import print_note
from nnlab.execution.resume import resume
from nnlab.execution.reuse import is_complete, refusal
from nnlab.jobs.compose import Composer
from nnlab.jobs.config import SEMANTICS, RunConfig
from nnlab.jobs.run import Job, Run, plan_runs
from nnlab.jobs.tags import Tag
from nnlab.search.space import SearchSpace
from nnlab.search.study import Proposal, SharedStudy
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer

Launch = Callable[[Sequence[Sequence[str]], int], object]


def describe_search(space: SearchSpace, composer: Composer) -> tuple[dict[str, str], RunConfig]:
    """Check the space at its corners, and say what makes its trials comparable.

    Returns
    -------
    dict of str to str
        The experiment, the objective, the searched fields, and what all corners have in common.
    RunConfig
        One of the corners.

    Raises
    ------
    ConfigError
        Where a field may not have a value of the space, or has no effect on a run's result.
    """
    corners = [(field, space.overrides(params)) for field, params in space.corners]
    runs = plan_runs([Job(composer.compose(words), words, "") for _, words in corners])
    identities: dict[str, list[str]] = {}
    for (field, _), run in zip(corners, runs, strict=True):
        identities.setdefault(field, []).append(run.key)
    for field, keys in identities.items():
        if len(keys) > 1 and len(set(keys)) == 1:
            raise ConfigError(
                f"{field} cannot be searched: it does not change a run's result. Give it one value."
            )
    params = [run.job.config.params for run in runs]
    common = {
        name: text
        for name, text in params[0].items()
        if all(other[name] == text for other in params)
    }
    config = runs[0].job.config
    search = {
        "experiment": config.tracking.experiment,
        "objective": config.objective,
        "data": " ".join(sorted({run.prepared.digest for run in runs})),
        "the training code's meaning": str(SEMANTICS),
        **common,
        **space.as_texts(),
    }
    return search, config


class Search:
    """The rounds of one process.

    What became of a run is read from the tracking store, by the run's identity, whichever process
    made it.

    Parameters
    ----------
    launch : Callable
        Makes the runs of some lists of overrides; the second argument is the number of runs before.
    space : SearchSpace
    composer : Composer
    study : SharedStudy
    config : RunConfig
        Any config of the space.
    sampler : str
        Its name, for the record.
    """

    def __init__(
        self,
        launch: Launch,
        space: SearchSpace,
        composer: Composer,
        study: SharedStudy,
        config: RunConfig,
        sampler: str,
    ) -> None:
        self._launch = launch
        self._space = space
        self._composer = composer
        self._study = study
        self._config = config
        self._sampler = sampler
        self._store = Store(tracking_uri(config.tracking.uri))
        self._launched = 0

    def run(self) -> None:
        """Complete trials, first those that a dead process has left, until there are enough."""
        try:
            while True:
                proposals, left = self._study.take()
                if not proposals:
                    break
                self._complete(proposals, left=left)
        except KeyboardInterrupt:
            print_note(f"To go on with the study {self._study.name}: start the same command again.")
            raise

    def _complete(self, proposals: Sequence[Proposal], *, left: bool) -> None:
        """Make the runs of some trials, unless they are in the store, and tell the study."""
        runs = self._planned(proposals)
        since = self._study.began
        if left:
            self._resume(runs, since)
        missing = {run.key: run.job.overrides for run in runs if self._ended(run, since) is None}
        if missing:
            try:
                self._launch(list(missing.values()), self._launched)
            finally:
                self._tag_sweeps()
            self._launched += len(missing)
        for proposal, run in zip(proposals, runs, strict=True):
            self._study.tell(proposal.number, self._ended(run, 0 if self._config.reuse else since))

    def _planned(self, proposals: Sequence[Proposal]) -> list[Run]:
        jobs = []
        for proposal in proposals:
            overrides = self._space.overrides(proposal.params)
            try:
                jobs.append(Job(self._composer.compose(overrides), overrides, ""))
            except ConfigError as error:  # values that are allowed one by one, but not together
                self._study.fail(proposal.number, str(error))
                raise
        return plan_runs(jobs)

    def _records(self, run: Run, since: int) -> Iterator[RunRecord]:
        """Yield the records with a run's identity, the newest first."""
        began = f"attributes.start_time >= {since}"
        for record in self._store.search(f"tags.{Tag.RUN_KEY} = '{run.key}' and {began}"):
            if Tag.REPRODUCES not in record.tags and self._may_count(record, run):
                yield record

    def _may_count(self, record: RunRecord, run: Run) -> bool:
        """Tell whether a recorded run may stand for a trial: an imported one where it is reused."""
        if Tag.IMPORTED_FROM not in record.tags:
            return True
        reuse = self._config.reuse
        return bool(reuse) and refusal(self._store, record, run, reuse) is None

    def _ended(self, run: Run, since: int) -> RunRecord | None:
        """Return the newest record of a run that is complete or has failed, if there is one."""
        for record in self._records(run, since):
            if is_complete(record) or record.status == "FAILED":
                return record
        return None

    def _resume(self, runs: Sequence[Run], since: int) -> None:
        """Complete what a dead process has begun; what cannot be resumed is launched again."""
        begun = [
            record.parent or record.run_id
            for run in runs
            if self._ended(run, since) is None
            for record in self._records(run, since)
        ]
        for sweep in dict.fromkeys(begun):
            try:
                resume(sweep, self._config.tracking.uri)
            except (ResumeError, NothingLeftError) as error:
                print_note(f"Note: {error} Its trials start again.")

    def _tag_sweeps(self) -> None:
        """Record the search in the parent runs of this process."""
        tags: dict[str, str] = {
            Tag.OPTUNA_STUDY: self._study.name,
            Tag.OPTUNA_SAMPLER: self._sampler,
            Tag.OPTUNA_TRIALS: str(len(self._study.trials)),
        }
        ours = f"tags.{Tag.KIND} = 'sweep' and tags.{Tag.OWNER} = '{ProcessId.this_process()}'"
        for sweep in self._store.search(ours):
            Writer(self._store).log(sweep.run_id, (), tags)

    def report(self) -> None:
        """Print the best trial, and how to go on."""
        study = self._study
        states = Counter(trial.state.name.lower() for trial in study.trials)
        counted = ", ".join(f"{count} {state}" for state, count in states.items())
        lines = {"trials": counted, "study": f"{study.name} in {study.url} ({self._sampler})"}
        best = study.best
        head = "No trial has come to its end."
        if best is not None:
            values = " ".join(
                f"{field}={best.params[field]}" for field in self._space.distributions
            )
            head = f"Best trial: {values}"
            run_id = best.user_attrs.get("run_id", "")
            found = {self._config.objective: f"{best.value:.4f}", "run": run_id}
            lines = {**found, **lines}
        if self._sampler != "grid":
            lines["to go on"] = f"the same command with hydra.sweeper.n_trials={2 * study.n_trials}"
        console = SafeConsole(soft_wrap=True, markup=False)
        console.print(head, style="bold")
        for label, text in lines.items():
            console.print(f"  {label:20}{text}")
