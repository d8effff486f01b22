"""What a stability study says: sentences that follow from its tables by rule.

The networks of one seed start from the same random numbers at every scale. So a statement is made
of each configuration, and holds where it holds for every seed; no p-value counts the networks as
if they were independent.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nnlab.analysis.configurations import DIGEST, varying_fields
from nnlab.analysis.formatting import settings_text, short, written
from nnlab.analysis.ranking import SEED
from nnlab.training.stability_edges import EDGES, HORIZONS
from nnlab.wording import counted

NEARLY = 4 / 3  # the factor, up or down, within which 2 / sharpness is said to be nearly right
ORDERED = 5  # configurations that a rank correlation needs at least
FIRST, MANY = EDGES[:2]
DEFINITIONS = {
    FIRST: f"no step within {HORIZONS[0]} epochs raises the loss",
    MANY: f"no step within {HORIZONS[1]} epochs raises the loss",
    "stable": "the loss is never above its initial value, though it may rise at steps",
    "largest": "the loss settles below its initial value in the end",
}
TITLES = {
    FIRST: f"monotone {HORIZONS[0]}",
    MANY: f"monotone {HORIZONS[1]}",
    "stable": "below start",
    "largest": "settles",
}


LEGEND = (
    "Largest learning rates up to which "
    + "; ".join(f"{text} ({TITLES[edge]})" for edge, text in DEFINITIONS.items())
    + "; as multiples of 2 / sharpness (×)."
)
NO_PARAMETERS = ("run_id", "holes", SEED, DIGEST)


def add_rates(networks: pd.DataFrame) -> pd.DataFrame:
    """Add the middle of each recorded interval, and its ratio to what is predicted.

    Both are NaN where an end of the interval is not known, and where an earlier version of nnlab
    made the study and did not look for that edge.
    """
    networks = networks.copy()
    for edge in EDGES:
        networks[f"lr_{edge}"] = np.nan
        if f"lr_{edge}_lower" in networks:
            lower, upper = networks[f"lr_{edge}_lower"], networks[f"lr_{edge}_upper"]
            known = (lower > 0) & np.isfinite(upper)
            networks[f"lr_{edge}"] = np.sqrt(lower) * np.sqrt(upper.where(known))
        networks[f"{edge}_over_predicted"] = networks[f"lr_{edge}"] / networks["lr_predicted"]
    return networks


def stability_verdict(networks: pd.DataFrame, trials: pd.DataFrame) -> Iterator[str]:
    """Say how well 2 / sharpness predicts the edges, and where the theory is not to blame.

    Parameters
    ----------
    networks : DataFrame
        As ``stability.csv``, with what ``add_rates`` adds.
    trials : DataFrame
        As ``trials.csv``.
    """
    label, name = labels(networks)
    groups = [
        (_setting(value, name), group) for value, group in networks.groupby(label, sort=False)
    ]
    if networks[FIRST + "_over_predicted"].notna().any():
        yield from _compared(groups, FIRST)
    if networks[MANY + "_over_predicted"].notna().any():
        yield from _compared(groups, MANY)
        yield from _sharpening(groups)
    yield from _never_above(networks, trials)
    yield from _settles(networks)
    yield from _order(networks, label)


def labels(networks: pd.DataFrame) -> tuple["pd.Series[Any]", str | None]:
    """Return what distinguishes each network apart from its seed, and the one field that it is of.

    Where several fields vary, a label is all of a network's settings, and there is no such field.
    """
    fields = parameters(networks)
    if len(fields) == 1:
        return networks[fields[0]], short(fields[0])
    settings = [
        settings_text({field: row[field] for field in fields}) or "all networks"
        for _, row in networks.iterrows()
    ]
    return pd.Series(settings, networks.index, dtype=object), None


def parameters(networks: pd.DataFrame) -> list[str]:
    """Return the parameters that vary between networks, without the seed."""
    runs = networks.copy()
    runs.attrs["params"] = [
        name
        for name in map(str, networks)
        if name not in NO_PARAMETERS
        and not name.startswith(("lr_", "sharpness"))
        and not name.endswith(("_over_predicted", "_killed"))
    ]
    return varying_fields(runs)


def _setting(value: object, name: str | None) -> str:
    return f"{name}={written(value)}" if name else str(value)


def _compared(groups: Sequence[tuple[str, pd.DataFrame]], edge: str) -> Iterator[str]:
    """Say where an edge is nearly as predicted, where higher and where lower, and by how much."""
    column = f"{edge}_over_predicted"
    members_of: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    for setting, group in groups:
        ratios = group[column].dropna()
        if len(ratios):
            members_of.setdefault(_judged(ratios), []).append((setting, group))
    parts = [
        f"{judged} at {_listed(members)} "
        f"(found: {_range(pd.concat([group[column] for _, group in members]))} times it)"
        for judged, members in members_of.items()
    ]
    yield f"For the rate up to which {DEFINITIONS[edge]}, 2 / sharpness is {'; '.join(parts)}."
    killed = _killed(pd.concat([group for _, group in groups]), edge)
    if killed:
        yield (
            f"In {killed} of {counted(sum(len(group) for _, group in groups), 'network')} that "
            "phase ends because a step switches off every hidden unit; the loss has not risen "
            "there."
        )


def _judged(ratios: "pd.Series[float]") -> str:
    """Say how the found rates of all seeds stand to 2 / sharpness."""
    if ratios.between(1 / NEARLY, NEARLY).all():
        return f"nearly right, within a factor of {NEARLY:.2f},"
    if (ratios > NEARLY).all():
        return "too low"
    if (ratios < 1 / NEARLY).all():
        return "too high"
    return "right for some seeds and not for others"


def _sharpening(groups: Sequence[tuple[str, pd.DataFrame]]) -> Iterator[str]:
    """Say where the curvature has grown until it sets the edge of many epochs."""
    explained: list[tuple[str, pd.DataFrame]] = []
    unexplained: list[tuple[str, pd.DataFrame]] = []
    for setting, group in groups:
        if "sharpness_trained" not in group:
            return
        falls = group[f"lr_{MANY}"] * NEARLY < group[f"lr_{FIRST}"]
        known = group[falls & group["sharpness_trained"].gt(0)]
        if not falls.all() or len(known) < len(group):
            continue
        grown = known["sharpness_trained"] > NEARLY * known["sharpness"]
        # Beyond the edge, instability takes some epochs to show.
        at_edge = 2 / known["sharpness_trained"] < NEARLY * known[f"lr_{MANY}"]
        (explained if (grown & at_edge).all() else unexplained).append((setting, known))
    for members, text in (
        (explained, "Progressive sharpening is the cause, not a failure of the theory,"),
        (unexplained, "Progressive sharpening alone does not explain the figures"),
    ):
        if members:
            group = pd.concat([known for _, known in members])
            growth = group["sharpness_trained"] / group["sharpness"]
            now = 2 / group["sharpness_trained"] / group[f"lr_{MANY}"]
            yield (
                f"{text} at {_listed(members)}: from {HORIZONS[0]} to {HORIZONS[1]} epochs the "
                "edge falls; at the rate just below it the sharpness comes to "
                f"{_range(growth)} times its first value, and 2 over that is {_range(now)} times "
                "the rate."
            )


def _never_above(networks: pd.DataFrame, trials: pd.DataFrame) -> Iterator[str]:
    ratios = networks["stable_over_predicted"].dropna()
    if not len(ratios):
        return
    text = f"Up to {_range(ratios)} times 2 / sharpness the loss is never above its initial value"
    if "rising_steps" in trials:
        edge = networks[["run_id", "lr_stable_lower"]].rename(columns={"lr_stable_lower": "lr"})
        last = edge.merge(trials, on=["run_id", "lr"])
        last = last[last["epochs"] == last.groupby("run_id")["epochs"].transform("max")]
        if len(last):
            steps, of = last["rising_steps"], last["epochs"].max()
            text += f"; at the rate just below that, it rises at {_whole(steps)} of {of} steps"
    yield text + "."
    if killed := _killed(networks, "stable"):
        yield (
            f"In {killed} of {counted(len(networks), 'network')} it does not rise above it before "
            "a step switches off every hidden unit."
        )


def _settles(networks: pd.DataFrame) -> Iterator[str]:
    ratios = networks["largest_over_predicted"].dropna()
    if len(ratios):
        text = f"Up to {_range(ratios)} times 2 / sharpness it settles below its initial value"
        if holes := int((networks["holes"] > 0).sum()):
            count = counted(len(networks), "network")
            text += f"; in {holes} of {count} it does not at some lower rate"
        yield text + "."
    searched = [edge for edge in EDGES if f"lr_{edge}_lower" in networks]
    searched = [edge for edge in searched if networks[f"lr_{edge}_lower"].notna().any()]
    unknown = sum(int(networks[f"lr_{edge}"].isna().sum()) for edge in searched)
    if unknown:
        yield f"{unknown} edges were not found in the range that was searched."


def _order(networks: pd.DataFrame, label: "pd.Series[str]") -> Iterator[str]:
    """Say whether the prediction orders the configurations of one seed."""
    from scipy import stats

    edge = next(name for name in EDGES if networks[f"lr_{name}"].notna().any() or name == EDGES[-1])
    found: list[float] = []
    for _, group in networks.groupby(SEED):
        rates = group[["lr_predicted", f"lr_{edge}"]].dropna()
        if len(rates) >= ORDERED and rates.nunique().min() > 1:
            found.append(float(stats.spearmanr(*rates.to_numpy().T)[0]))
    if not found or label.nunique() < ORDERED:
        return
    yield (
        f"Within a seed, the rank correlation (Spearman's ρ) of 2 / sharpness with the rate up to "
        f"which {DEFINITIONS[edge]} is {_range(pd.Series(found), sign='+')}. The seeds' networks "
        "share their random numbers across configurations, so the networks are no independent "
        "sample, and there is no p-value."
    )


def _killed(networks: pd.DataFrame, edge: str) -> int:
    """Count the networks of which a phase ends without a rise; earlier versions did not tell."""
    column = networks.get(f"{edge}_killed")
    return 0 if column is None else int(column.astype(str).eq("True").sum())


def _listed(members: Sequence[tuple[str, pd.DataFrame]]) -> str:
    """Write settings; the field's name only once."""
    settings = [setting for setting, _ in members]
    heads = {setting.partition("=")[0] for setting in settings}
    if len(heads) == 1 and all(setting.count("=") == 1 for setting in settings):
        return f"{heads.pop()}={', '.join(setting.partition('=')[2] for setting in settings)}"
    return ", ".join(settings)


def _range(values: "pd.Series[float]", sign: str = "") -> str:
    low, high = values.min(), values.max()
    if f"{low:.3g}" == f"{high:.3g}":
        return f"{low:{sign}.3g}"
    return f"{low:{sign}.3g} to {high:{sign}.3g}"


def _whole(values: "pd.Series[int]") -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"
