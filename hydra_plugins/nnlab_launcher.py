"""The plugins' names for Hydra, which instantiates plugins only from this namespace package."""

from collections.abc import Sequence
from pathlib import Path

# Hydra executes basic_sweeper again when it looks for plugins; `super()` would then fail in a class
# that was derived before. So the sweeper is defined here, and not in nnlab.launcher.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from nnlab.launcher import StackLauncher


class NnlabLauncher(StackLauncher):
    """The launcher of ``nnlab.launcher``, under the name that ``conf/hydra/launcher`` uses."""


class NnlabSearchPath(SearchPathPlugin):
    """Lets other programs find ``hydra/launcher=nnlab``, which tells them what it is for."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append a folder with that one config."""
        search_path.append("nnlab", f"file://{Path(__file__).parent / 'nnlab_conf'}")


class NnlabSweeper(BasicSweeper):
    """Hydra's own sweeper, without its check that every job's config can be composed.

    The launcher checks that before it starts anything, in a hundredth of the time.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leave the check to the launcher."""
