"""What a run counts as, and the order of runs and configurations: one definition for all tables.

A run that diverged has no final network, and that is a result: its accuracy counts as 0 and its
loss as infinite, so that the lucky seeds of a configuration do not speak for all of them. A run
that was pruned, failed, was killed or is still running has no result: statistics leave it out, and
the order of configurations counts it as the worst possible result. Both hold for the metrics of a
curve too, such as ``val/accuracy``: what was measured before a run diverged, or was pruned, is in
the curve, and is not the run's result. ``best_…`` and ``epochs_to_target`` tell of the way there,
and hold for every run that has them.

This module does not import pandas, which would delay the end of every small sweep.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from nnlab.jobs.run import SEEDS, Run
from nnlab.training.outcomes import LATE

METRIC = LATE  # that sweeps and comparisons are judged by unless told otherwise
LAST = "final_val_accuracy"  # judged by where a run of an older version has kept no history
ON_THE_WAY = ("best_", "epochs_to_target")  # metrics that do not speak of the final network
SEED = "seed"
NOT_STARTED = "not started"
ENDINGS = {
    "learned": "green",
    "stalled": "yellow",
    "dead": "red",
    "diverged": "red",
    "pruned": "dim",
    "FAILED": "bold red",
    "KILLED": "bold red",
    "RUNNING": "dim",
    "SCHEDULED": "dim",
    NOT_STARTED: "dim",
}  # outcomes, and the statuses of runs without one, in the order of tables -> style in the terminal


def lower_is_better(metric: str) -> bool:
    """Tell whether the best value of a metric is its smallest: true of all but accuracies."""
    return not metric.endswith("accuracy")


def worst_result(metric: str) -> float:
    """Return the worst value that a metric can have: accuracy 0, or infinity."""
    return math.inf if lower_is_better(metric) else 0.0


def result_of(metric: str, value: float | None, outcome: str | None) -> float:
    """Return what a run counts as.

    Parameters
    ----------
    metric : str
    value : float or None
        The run's value of the metric; None or NaN if it has none.
    outcome : str or None
        None if the run did not come to its end.

    Returns
    -------
    float
        ``worst_result`` for the accuracy or loss of a run that diverged; infinity for the
        ``epochs_to_target`` of a run that came to its end without reaching its target; NaN if the
        run has no result; else the value.
    """
    result = math.nan if value is None else value
    if metric.startswith(ON_THE_WAY) and not math.isnan(result):
        return result
    if outcome is None or outcome == "pruned":
        return math.nan
    diverged = outcome == "diverged" and metric.endswith(("accuracy", "loss"))
    if diverged or metric == "epochs_to_target":
        return worst_result(metric)
    return result


def order_key(results: Sequence[float], metric: str) -> tuple[float, float]:
    """Return the key by which configurations are sorted, the best first.

    The key is the mean in which a run without a result counts as the worst possible one: three
    lucky runs of five are not ahead of five that learned. Of equal means, the one of the known
    results alone decides.

    Parameters
    ----------
    results : sequence of float
        As ``result_of`` returns them, one for each run of the configuration.
    metric : str
    """
    worst, sign = worst_result(metric), 1 if lower_is_better(metric) else -1
    known = [result for result in results if not math.isnan(result)]
    missing = [worst] * (len(results) - len(known))
    return sign * fmean([*known, *missing]), sign * fmean(known or [worst])


ENDED = ("learned", "stalled", "dead", "diverged")  # outcomes of runs that came to their end


@dataclass(frozen=True)
class LearnedShare:
    """How many of a configuration's runs that came to their end learned, and how well.

    Attributes
    ----------
    learned, ended : int
        Pruned, failed and running runs are in neither.
    mean : float or None
        Of the results of those that learned; None if none did.
    """

    learned: int
    ended: int
    mean: float | None

    @classmethod
    def of(cls, results: Sequence[float], outcomes: Sequence[str | None]) -> "LearnedShare":
        """Count runs; both sequences have an entry for each."""
        ended = sum(outcome in ENDED for outcome in outcomes)
        pairs = zip(results, outcomes, strict=True)
        learned = [result for result, outcome in pairs if outcome == "learned"]
        known = [result for result in learned if not math.isnan(result)]
        return cls(len(learned), ended, fmean(known) if known else None)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share."""
        return wilson_interval(self.learned / (self.ended or 1), self.ended)

    @property
    def mixed(self) -> bool:
        """Whether some runs learned and some did not: a mean then speaks of neither."""
        return 0 < self.learned < self.ended

    def __str__(self) -> str:
        if not self.ended:
            return "-"
        low, high = self.interval
        return f"{self.learned} of {self.ended} [{low:.0%}, {high:.0%}]"


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n: Wilson 1927, "Probable inference ..."."""
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def tally(words: Iterable[str]) -> str:
    """Count words, the most frequent first: ``4 learned, 1 diverged``."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def ranked(runs: Sequence[Run]) -> list[Run]:
    """Sort runs from best to worst by their final validation accuracy."""
    return sorted(runs, key=lambda run: order_key([_result(run)], METRIC))


def outcome_of(run: Run) -> str:
    """Return the outcome of a run, or its status if it has none."""
    return run.state.outcome or run.state.status or NOT_STARTED


def value_of(run: Run, field: str) -> str:
    """Return the value that a run's overrides give to a field, as it was typed."""
    for override in run.job.overrides:
        name, _, value = override.partition("=")
        if name.lstrip("+~") == field:
            return value
    return ""


@dataclass(frozen=True)
class Configuration:
    """Runs of one sweep that differ in their seeds alone.

    Attributes
    ----------
    settings : dict
        Field -> value as it was typed, for the other fields that vary.
    """

    settings: dict[str, str]
    runs: tuple[Run, ...]

    @property
    def results(self) -> list[float]:
        """The final validation accuracy that each run counts as; see ``result_of``."""
        return [_result(run) for run in self.runs]

    @property
    def known(self) -> list[float]:
        """The results of those runs that have one."""
        return [result for result in self.results if not math.isnan(result)]

    @property
    def mean(self) -> float | None:
        """The mean of the known results; None if there are none."""
        return fmean(self.known) if self.known else None

    @property
    def share(self) -> LearnedShare:
        """How many of the runs learned."""
        return LearnedShare.of(self.results, [run.state.outcome for run in self.runs])

    @property
    def outcomes(self) -> str:
        """What became of the runs, counted."""
        return tally(map(outcome_of, self.runs))


def over_seeds(runs: Sequence[Run], varying: Sequence[str]) -> list[Configuration]:
    """Group runs by all fields that vary except the seeds, the best configuration first."""
    fields = [field for field in varying if field not in SEEDS]
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(value_of(run, field) for field in fields), []).append(run)
    configurations = [
        Configuration(dict(zip(fields, values, strict=True)), tuple(members))
        for values, members in groups.items()
    ]
    return sorted(configurations, key=lambda each: order_key(each.results, METRIC))


def _result(run: Run) -> float:
    return result_of(
        METRIC, run.state.metrics.get(METRIC, run.state.metrics.get(LAST)), run.state.outcome
    )
