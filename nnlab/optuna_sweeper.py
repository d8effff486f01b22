"""The Hydra sweeper that lets Optuna propose the runs of a sweep, a batch at a time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from nnlab.errors import ConfigError, NothingLeftError, ResumeError
from nnlab.launcher import after_sweep
from nnlab.runs.tags import Tag

if TYPE_CHECKING:
    from nnlab.runs.compose import Composer
    from nnlab.runs.config import RunConfig
    from nnlab.runs.run import Run
    from nnlab.search.space import SearchSpace
    from nnlab.search.study import Proposal, SharedStudy
    from nnlab.tracking.records import RunRecord


class OptunaSweeper(Sweeper):
    """Asks an Optuna study for a batch of trials, launches them, and tells what they came to."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - Hydra instantiates it from conf/
        self._fields = fields

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> None:
        """Keep what Hydra hands over."""
        self._loader = hydra_context.config_loader
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search until the study has its trials, and print the best one.

        Raises
        ------
        ConfigError
            Where Optuna is missing, or what is asked for cannot be searched.
        """
        if find_spec("optuna") is None:
            raise ConfigError(
                "hydra/sweeper=nnlab_optuna needs Optuna: pip install 'nnlab[optuna]'."
            )
        from nnlab.runs.compose import Composer
        from nnlab.runs.validation import validated
        from nnlab.search.samplers import SearchSettings
        from nnlab.search.space import parse_search_space
        from nnlab.search.study import SharedStudy
        from nnlab.tracking.locations import sweeps_folder, tracking_uri

        fields = OmegaConf.to_container(OmegaConf.create(self._fields))
        assert isinstance(fields, dict)
        settings = validated(
            SearchSettings, {str(key): value for key, value in fields.items()}, "hydra.sweeper."
        )
        params = [f"{field}={values}" for field, values in (settings.params or {}).items()]
        space = parse_search_space([*params, *arguments], self._loader)
        composer = Composer(self._loader, self._config)
        search, config = _described(space, composer)
        default = sweeps_folder(tracking_uri(config.tracking.uri)).with_name("optuna.db")
        study = SharedStudy(settings, space, search, default)
        Search(self._launcher, space, composer, study, config, settings.sampler).run()


class Search:
    """The rounds of one process.

    What became of a run is read from the tracking store, by the run's identity, whichever process
    made it.

    Parameters
    ----------
    launcher : hydra.plugins.launcher.Launcher
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
        launcher: Launcher,
        space: "SearchSpace",
        composer: "Composer",
        study: "SharedStudy",
        config: "RunConfig",
        sampler: str,
    ) -> None:
        from nnlab.tracking.locations import tracking_uri
        from nnlab.tracking.store import Store

        self._launcher = launcher
        self._space = space
        self._composer = composer
        self._study = study
        self._config = config
        self._sampler = sampler
        self._store = Store(tracking_uri(config.tracking.uri))
        self._launched = 0

    def run(self) -> None:
        """Complete trials, first those that a dead process has left, until there are enough."""
        from nnlab.execution.progress import print_note

        after_sweep(self._report)
        try:
            while True:
                proposals, left = self._study.take()
                if not proposals:
                    break
                self._complete(proposals, left=left)
        except KeyboardInterrupt:
            print_note(f"To go on with the study {self._study.name}: start the same command again.")
            raise

    def _complete(self, proposals: "Sequence[Proposal]", *, left: bool) -> None:
        """Make the runs of some trials, unless they are in the store, and tell the study."""
        runs = self._planned(proposals)
        since = self._study.began
        if left:
            self._resume(runs, since)
        missing = {run.key: run.job.overrides for run in runs if self._ended(run, since) is None}
        if missing:
            try:
                self._launcher.launch(list(missing.values()), initial_job_idx=self._launched)
            finally:
                self._tag_sweeps()
            self._launched += len(missing)
        for proposal, run in zip(proposals, runs, strict=True):
            self._study.tell(proposal.number, self._ended(run, 0 if self._config.reuse else since))

    def _planned(self, proposals: "Sequence[Proposal]") -> "list[Run]":
        from nnlab.runs.run import Job, plan_runs

        jobs = []
        for proposal in proposals:
            overrides = self._space.overrides(proposal.params)
            try:
                jobs.append(Job(self._composer.compose(overrides), overrides, ""))
            except ConfigError as error:  # values that are allowed one by one, but not together
                self._study.fail(proposal.number, str(error))
                raise
        return plan_runs(jobs)

    def _records(self, run: "Run", since: int) -> "Iterator[RunRecord]":
        """Yield the records with a run's identity, the newest first."""
        began = f"attributes.start_time >= {since}"
        for record in self._store.search(f"tags.{Tag.RUN_KEY} = '{run.key}' and {began}"):
            if Tag.REPRODUCES not in record.tags:
                yield record

    def _ended(self, run: "Run", since: int) -> "RunRecord | None":
        """Return the newest record of a run that is complete or has failed, if there is one."""
        from nnlab.execution.reuse import is_complete

        for record in self._records(run, since):
            if is_complete(record) or record.status == "FAILED":
                return record
        return None

    def _resume(self, runs: "Sequence[Run]", since: int) -> None:
        """Complete what a dead process has begun; what cannot be resumed is launched again."""
        from nnlab.execution.progress import print_note
        from nnlab.execution.resume import resume

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
        from nnlab.tracking.process import ProcessId
        from nnlab.tracking.writer import Writer

        tags: dict[str, str] = {
            Tag.OPTUNA_STUDY: self._study.name,
            Tag.OPTUNA_SAMPLER: self._sampler,
            Tag.OPTUNA_TRIALS: str(len(self._study.trials)),
        }
        ours = f"tags.{Tag.KIND} = 'sweep' and tags.{Tag.OWNER} = '{ProcessId.this_process()}'"
        for sweep in self._store.search(ours):
            Writer(self._store).log(sweep.run_id, (), tags)

    def _report(self) -> None:
        """Print the best trial, and how to go on."""
        from nnlab.analysis.terminal import SafeConsole

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
        lines["to go on"] = f"the same command with hydra.sweeper.n_trials={2 * study.n_trials}"
        console = SafeConsole(highlight=False, soft_wrap=True, markup=False)
        console.print(head, style="bold")
        for label, text in lines.items():
            console.print(f"  {label:20}{text}")


def _described(space: "SearchSpace", composer: "Composer") -> "tuple[dict[str, str], RunConfig]":
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
    from nnlab.runs.config import SEMANTICS
    from nnlab.runs.run import Job, plan_runs

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
