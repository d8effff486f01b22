"""The plugins' names for Hydra, which instantiates plugins only from this namespace package."""

from collections.abc import Sequence
from pathlib import Path

# Hydra executes basic_sweeper again when it looks for plugins; `super()` would then fail in a class
# that was derived before. So the sweeper is defined here, and not in nnlab.launcher.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.types import Override
from hydra.plugins.search_path_plugin import SearchPathPlugin

from nnlab.jobs.words import hydra_words
from nnlab.launcher import StackLauncher


class NnlabLauncher(StackLauncher):
    """The launcher of ``nnlab.launcher``, under the name that ``conf/hydra/launcher`` uses."""


class NnlabSearchPath(SearchPathPlugin):
    """Lets other programs find ``hydra/launcher=nnlab``, which tells them what it is for."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append a folder with that one config."""
        search_path.append("nnlab", f"file://{Path(__file__).parent / 'nnlab_conf'}")


class NnlabSweeper(BasicSweeper):
    """Hydra's own sweeper, with paired fields and exact ranges.

    It leaves out the check that every job's config can be composed: the launcher checks that before
    it starts anything, in a hundredth of the time.
    """

    @staticmethod
    def split_arguments(
        overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Return the overrides of each job, in batches."""
        from nnlab.jobs.grid import jobs_of

        jobs = jobs_of(overrides)
        if max_batch_size is None:
            return [jobs]
        return list(BasicSweeper.split_overrides_to_chunks(jobs, max_batch_size))

    def _parse_config(self) -> list[str]:
        """Return the params of a study's file as words."""
        return hydra_words(super()._parse_config(), several=True)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leave the check to the launcher."""
