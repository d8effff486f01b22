"""The plugins' names for Hydra, which instantiates plugins only from this namespace package."""

from collections.abc import Sequence

# Hydra executes basic_sweeper again when it looks for plugins; `super()` would then fail in a class
# that was derived before. So the sweeper is defined here, and not in nnlab.launcher.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from nnlab.launcher import StackLauncher


class NnlabLauncher(StackLauncher):
    """The launcher of ``nnlab.launcher``, under the name that ``conf/hydra/launcher`` uses."""


class NnlabSweeper(BasicSweeper):
    """Hydra's own sweeper, without its check that every job's config can be composed.

    The launcher checks that before it starts anything, in a hundredth of the time.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leave the check to the launcher."""
