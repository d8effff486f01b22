"""Commands that train further seeds of configurations, as somebody would type them."""

import re
import shlex
from collections.abc import Sequence

import pandas as pd

from nnlab.analysis.groups import RunGroup
from nnlab.analysis.paired_statistics import MAX_FURTHER
from nnlab.jobs.commands import says_what_is_trained
from nnlab.jobs.config import fields_with
from nnlab.jobs.roles import Role, is_among
from nnlab.jobs.sweep import field_of
from nnlab.safe_text import masked
from nnlab.system.stored_files import parse_yaml
from nnlab.tracking.frames import read_file
from nnlab.tracking.locations import tracking_uri

PLAIN = re.compile(r"[\w.+-]+")  # a value that needs no quotes in a list of values


def seeds_command(
    groups: Sequence[RunGroup], further: int | None, first: int, uri: str | None
) -> str | None:
    """Write the command that runs the further seeds of both, from the first unused one on."""
    one, other = (typed_overrides(group.runs, uri) for group in groups)
    if not further or further > MAX_FURTHER or one is None or other is None:
        return None
    if one == other:  # they differ in their code, which no command can state
        return None
    seeds = f"seed=range({first},{first + further})"
    store = [] if tracking_uri(uri) == tracking_uri(None) else [f"tracking.uri={masked(str(uri))}"]
    return "\n".join(
        shlex.join(["python", "run.py", "-m", *overrides, seeds, *store])
        for overrides in _joined(one, other)
    )


def typed_overrides(runs: pd.DataFrame, uri: str | None) -> list[str] | None:
    """Return the overrides that were typed for a configuration, without those of a single run.

    Parameters
    ----------
    runs : DataFrame
        The runs of one configuration.
    uri : str or None
        The store; None for the one of the config.

    Returns
    -------
    list of str or None
        None if no run has recorded them.
    """
    columns = runs[["run_id", "reproduces", "derived_from"]]
    for run_id, reproduces, derived in columns.itertuples(index=False):
        if not (pd.isna(reproduces) and pd.isna(derived)):  # its config was not typed
            return [f"--config-from={run_id}"]
        text = read_file(uri, run_id, "overrides.yaml")
        if text is not None:
            typed = parse_yaml(text, "overrides.yaml")
            overrides = [
                override for override in map(str, typed if isinstance(typed, list) else [])
                if not is_among(field_of(override), (*fields_with(Role.ONCE), "tracking"))
            ]  # fmt: skip
            # Text from elsewhere, which somebody will type: else the config is taken, and checked.
            safe = run_id.isalnum() and all(map(says_what_is_trained, overrides))
            return overrides if safe else [f"--config-from={run_id}"]
    return None


def _joined(a: list[str], b: list[str]) -> list[list[str]]:
    """Write two configurations as one sweep if they differ in the value of one field."""
    if any(override.startswith("--") for override in (*a, *b)):
        return [a, b]
    parts = [[override.partition("=") for override in side] for side in (sorted(a), sorted(b))]
    if [field for field, _, _ in parts[0]] != [field for field, _, _ in parts[1]]:
        return [a, b]
    differ = [
        (field, one, other)
        for (field, _, one), (_, _, other) in zip(*parts, strict=True)
        if one != other
    ]
    if len(differ) != 1 or not all(map(PLAIN.fullmatch, differ[0][1:])):
        return [a, b]
    field, one, other = differ[0]
    both = f"{field}={one},{other}"
    return [[both if override == f"{field}={one}" else override for override in a]]
