"""``nnlab plan``: what a sweep would take, and what its seeds could show, before it is trained."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median

import pandas as pd

from nnlab.analysis.power import Spread, detectable_effect, spread_of
from nnlab.analysis.ranking import METRIC
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.analysis.terminal import SafeConsole, print_line
from nnlab.errors import ComparisonError, TrackingError
from nnlab.execution.progress import print_note
from nnlab.execution.reuse import is_complete
from nnlab.execution.stacks import division, seconds, stackable
from nnlab.jobs.compose import compose_grid
from nnlab.jobs.launch_config import launch_config
from nnlab.jobs.run import Run, plan_runs
from nnlab.jobs.sweep import Sweep
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import Reader, open_reader
from nnlab.tracking.records import RunRecord
from nnlab.training.arithmetic import arithmetic_of
from nnlab.training.history import METRICS
from nnlab.wording import agreeing, counted

SIMILAR = ("data.name", "data.val_size", "batch_size", "dtype")  # runs that cost alike
SPREAD_LIKE = (*SIMILAR, "hidden_size", "epochs")  # runs whose seeds scatter alike
SWEEPS = 5  # newest similar ones, that an estimate of the time rests on
MINI_BATCHES = 6.0  # times the work of a full batch, where no recorded run tells
MEASUREMENT = 15.0  # epochs that a measurement of the sharpness takes, likewise
RECORDING = 0.03  # seconds a run, besides its training
# Bytes, as measured.
OF_A_METRIC, OF_AN_EPOCH, OF_A_RUN = 270, 150, 15_000  # in the database; in history.csv; the rest
OF_PICTURES, OF_A_PAGE, OF_A_SWEEP = 700_000, 5_500_000, 1_000_000


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep would take.

    Attributes
    ----------
    runs, configurations : int
        A configuration is what differs in its seed alone.
    finished : int
        Runs of the same identity that the store has, which ``reuse=true`` takes over.
    seeds : dict of int to int
        Number of seeds -> how many configurations have so many.
    stacks, workers : int
    seconds : float
        Estimated, of wall time.
    sweeps : int
        Recorded sweeps that the estimate rests on; 0: on the number of products alone.
    size : float
        Estimated, in bytes.
    spread : Spread or None
        Of similar runs in the store; None where there are none.
    metric : str
        Whose spread it is.
    """

    runs: int
    configurations: int
    finished: int
    seeds: dict[int, int]
    stacks: int
    workers: int
    seconds: float
    sweeps: int
    size: float
    spread: Spread | None
    metric: str = METRIC


def plan_sweep(overrides: Sequence[str]) -> SweepPlan:
    """Estimate what ``python run.py -m`` would take with these overrides; write nothing.

    Raises
    ------
    ConfigError, HydraException, DataError
        As that command would.
    """
    grid = compose_grid(overrides)
    if grid.note is not None:
        print_note(grid.note)
    settings = launch_config(grid.launcher)
    runs = plan_runs(Sweep.of(grid.configs, grid.jobs).jobs)
    workers, threads = division(runs, settings)
    most = settings.stack if isinstance(settings.stack, int) else None
    stacks = stackable(runs, lambda _: 0, most, workers)
    per_configuration = Counter(_configuration(run) for run in runs)
    reader = _reader(grid.configs[0].tracking.uri)
    rates = [] if reader is None else list(islice(_rates(reader, runs), SWEEPS))
    estimate = _work(runs) * median(rates) if rates else _work(runs) / (workers * threads)
    return SweepPlan(
        runs=len(runs),
        configurations=len(per_configuration),
        finished=0 if reader is None else _finished(reader, runs),
        seeds=dict(sorted(Counter(per_configuration.values()).items())),
        stacks=len(stacks),
        workers=workers,
        seconds=estimate + RECORDING * len(runs),
        sweeps=len(rates),
        size=_size(runs),
        spread=None if reader is None else _spread(reader, runs),
    )


def show_plan(overrides: Sequence[str]) -> None:
    """Print the plan of a sweep."""
    for line in sentences(plan_sweep(overrides)):
        print_line(SafeConsole(), line)


def sentences(plan: SweepPlan) -> Iterator[str]:
    """Yield what a plan says, line by line."""
    seeds = " or ".join(map(str, plan.seeds))
    yield (
        f"runs     {plan.runs}: {counted(plan.configurations, 'configuration')} × "
        f"{seeds} {agreeing(max(plan.seeds), 'seed', 'seeds')}"
        + (f"; {plan.finished} of them are in the store: reuse=true" if plan.finished else "")
    )
    yield f"stacks   {plan.stacks}, on {counted(plan.workers, 'worker')}"
    basis = (
        f"as {counted(plan.sweeps, 'similar sweep')} in the store took"
        if plan.sweeps
        else "a rough estimate: the store has no similar sweep that has ended"
    )
    yield f"minutes  {_minutes(plan.seconds)} ({basis})"
    yield f"size     {plan.size / 1e6:,.0f} MB"
    yield f"seeds    {' '.join(_power(plan))}"


def _power(plan: SweepPlan) -> Iterator[str]:
    fewest = min(plan.seeds)
    if plan.configurations < 2:  # noqa: PLR2004 - a comparison takes two
        yield "There is one configuration: nothing is compared."
        return
    effect = detectable_effect(fewest)
    if fewest < MIN_SEEDS or effect is None:
        yield (
            f"{counted(fewest, 'seed')} of a configuration {agreeing(fewest, 'decides', 'decide')} "
            f"nothing: that takes {MIN_SEEDS}."
        )
        fewest = MIN_SEEDS
        effect = detectable_effect(fewest)
        assert effect is not None
    spread, found = plan.spread, f"{fewest} seeds find with 80 % power"
    if spread is None:
        yield (
            f"{found} a mean difference of {effect:.2g} standard deviations of the paired "
            "differences (paired t-test at 5 %, one comparison). How large these are, no similar "
            "runs in the store tell."
        )
        return
    yield (
        f"{found} a mean difference of {effect * spread.deviation:.2g} in {plan.metric} "
        f"({effect * spread.low:.2g} to {effect * spread.high:.2g} by the spreads of "
        f"{counted(spread.pairs, 'pair')} of similar configurations in the store; paired "
        "t-test at 5 %, one comparison). Among many configurations the difference has to be larger."
    )


def _minutes(duration: float) -> str:
    minutes = duration / 60
    return "less than 1" if minutes < 1 else f"about {float(f'{minutes:.2g}'):,.0f}"


def _configuration(run: Run) -> tuple[tuple[str, str], ...]:
    params = {**run.job.config.params, "digest": run.prepared.digest}
    return tuple(item for item in params.items() if item[0] != "seed")


def _work(runs: Sequence[Run]) -> float:
    """Return core-seconds of one core, roughly: with mini-batches and measured sharpness."""
    total = 0.0
    for run in runs:
        config = run.job.config
        factor = MINI_BATCHES if config.batch_size is not None else 1.0
        if config.sharpness.every is not None:
            factor += MEASUREMENT / config.sharpness.every
        total += factor * seconds([run])
    return total


def _size(runs: Sequence[Run]) -> float:
    """Return bytes: weights before and after, history, metrics in the database, pictures."""
    total = 0.0
    for run in runs:
        config = run.job.config
        pixels, classes = run.prepared.dataset.pixels.shape[1], run.prepared.dataset.classes
        weights = config.hidden_size * (pixels + 1) + classes * (config.hidden_size + 1)
        points = config.epochs // config.tracking.every + 1
        total += 2 * weights * arithmetic_of(config.dtype).dtype.itemsize
        total += config.epochs * OF_AN_EPOCH + points * len(METRICS) * OF_A_METRIC + OF_A_RUN
    pictures = min(len(runs), runs[0].job.config.pictures)
    page = OF_A_PAGE if pictures else 0
    return total + pictures * OF_PICTURES + page + OF_A_SWEEP


def _reader(uri: str | None) -> Reader | None:
    """Open the store, if there is one."""
    try:
        reader = open_reader(tracking_uri(uri))
        reader.experiments()
    except TrackingError:
        return None
    return reader


def _finished(reader: Reader, runs: Sequence[Run]) -> int:
    if len(runs) > 1000:  # noqa: PLR2004 - each is a query
        return 0
    return sum(any(map(is_complete, reader.tagged(Tag.RUN_KEY, run.key))) for run in runs)


def _rates(reader: Reader, runs: Sequence[Run]) -> Iterator[float]:
    """Yield seconds of wall time for each estimated core-second, of similar sweeps that ended."""
    pattern = runs[0]
    for parent in reader.tagged(Tag.KIND, "sweep"):
        if parent.end_time is None or parent.status != "FINISHED":
            continue
        children = [run for run in reader.tagged(Tag.PARENT, parent.run_id) if is_complete(run)]
        if children and all(_like(child, pattern, SIMILAR) for child in children):
            work = sum(_recorded_work(child, pattern) for child in children)
            if work > 0:
                yield (parent.end_time - parent.start_time) / 1000 / work


def _recorded_work(record: RunRecord, pattern: Run) -> float:
    ended = record.metrics.get("diverged_at", record.metrics.get("pruned_at"))
    changes = {
        "epochs": int(record.params["epochs"] if ended is None else ended),
        "hidden_size": int(record.params["hidden_size"]),
    }
    config = pattern.job.config.model_copy(update=changes)
    return _work([replace(pattern, job=replace(pattern.job, config=config))])


def _like(record: RunRecord, run: Run, fields: Sequence[str]) -> bool:
    params = run.job.config.params
    return all(record.params.get(field) == params[field] for field in fields)


def _spread(reader: Reader, runs: Sequence[Run]) -> Spread | None:
    """Estimate the spread from runs of the store like any of the planned ones."""
    try:
        frame = read_runs(reader.uri, list(reader.experiments().values()))
        fields = [field for field in SPREAD_LIKE if field in frame]
        planned = pd.DataFrame([run.job.config.params for run in runs])[fields].drop_duplicates()
        wanted = set(map(tuple, planned.astype(str).to_numpy()))
        like = [row in wanted for row in map(tuple, frame[fields].astype(str).to_numpy())]
        similar = frame[like]
        similar.attrs.update(frame.attrs)
        found = spread_of(similar, METRIC)
    except (TrackingError, ComparisonError):
        return None
    return found if found is not None and math.isfinite(found.deviation) else None
