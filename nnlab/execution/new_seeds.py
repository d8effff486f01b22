"""Recorded configurations, trained again on new seeds as a sweep of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nnlab.analysis.formatting import settings_text
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.ranking import SEED
from nnlab.execution.failures import raise_if_failed
from nnlab.execution.sweep_session import SweepSession
from nnlab.jobs.config import RunConfig, from_mapping, from_record
from nnlab.jobs.launch_config import launch_config, own_fields
from nnlab.jobs.local_fields import set_local_field, without_foreign_values
from nnlab.jobs.run import Run, plan_runs
from nnlab.jobs.study import parent_tags
from nnlab.jobs.sweep import Sweep, field_of
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_yaml
from nnlab.tracking.frames import read_tagged
from nnlab.tracking.store import Store

FOLLOWERS = ("order_seed", "data.seed")  # seeds that a sweep may have set to the seed of each run


@dataclass(frozen=True)
class NewSeeds:
    """Configurations, and the seeds that they are to be trained on.

    Attributes
    ----------
    groups : sequence of RunGroup
        The configurations; each as its first run has recorded it.
    seeds : sequence of int
    overrides : sequence of str
        ``field=value``, for where the data is now; see ``local_fields``.
    """

    store: Store
    groups: Sequence[RunGroup]
    seeds: Sequence[int]
    overrides: Sequence[str] = ()

    def train(self, name: str, tags: Mapping[str, str], *, show: bool = True) -> str:
        """Train them, and return the id of the sweep's run.

        Raises
        ------
        RunsFailedError
            Where all runs were tried, but some failed.
        """
        configs, words = [], []
        for group in self.groups:
            for seed in self.seeds:
                configs.append(self._config(group, seed))
                words.append([*settings_text(group.settings).split(), f"{SEED}={seed}"])
        sweep = Sweep.of(configs, words)
        runs: list[Run] = plan_runs(sweep.jobs)
        settings = launch_config({**own_fields(), "resume": False})
        all_tags = {**parent_tags(None), **tags}
        with SweepSession(name, configs[0], settings, tags=all_tags, show=show) as session:
            session.begin(runs, sweep.varying)
            session.work()
        raise_if_failed(runs)
        return session.head

    def _config(self, group: RunGroup, seed: int) -> RunConfig:
        """Return a configuration as it was recorded, with another seed."""
        run_id = str(group.runs["run_id"].iloc[0])
        record = self.store.get(run_id)
        plain: dict[str, Any] = from_record(
            read_yaml(self.store.download(run_id, "config.yaml"))
        ).model_dump()
        for override in self.overrides:
            set_local_field(plain, override, "a run on a new seed")
        if Tag.IMPORTED_FROM in record.tags:
            plain = without_foreign_values(plain, list(map(field_of, self.overrides)))
        plain["tracking"] |= {"uri": self.store.uri, "experiment": self.store.experiment_of(record)}
        plain |= {
            "seed": seed, "reuse": False, "prune": {}, "run_name": None, "derived_from": run_id,
        }  # fmt: skip
        for field in FOLLOWERS:
            if _follows(group.runs, field):
                *path, last = field.split(".")
                section = plain
                for part in path:
                    section = section[part]
                section[last] = seed
        return from_mapping(plain)


def unused_seed(uri: str | None, runs: pd.DataFrame) -> int:
    """Return the lowest seed above all that the store has of these runs' data."""
    digests = runs["data_digest"].dropna().unique()
    known = pd.concat(
        [runs, read_tagged(uri, Tag.DATA_DIGEST, digests)] if len(digests) else [runs]
    )
    return int(pd.to_numeric(known[SEED]).max()) + 1


def _follows(runs: pd.DataFrame, field: str) -> bool:
    """Tell whether a field had the seed of each of several runs."""
    return field in runs and len(set(runs[SEED])) > 1 and bool((runs[field] == runs[SEED]).all())
