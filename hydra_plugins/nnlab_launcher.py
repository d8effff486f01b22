"""Where Hydra looks for plugins: it instantiates them only from this namespace package."""

from collections.abc import Sequence

# Hydra's scan executes this module anew: a class made from an earlier import would not be its kin.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from nnlab.launcher import StackLauncher


class NnlabLauncher(StackLauncher):
    """The launcher of :mod:`nnlab.launcher`, under the name that ``conf/hydra/launcher`` uses."""


class NnlabSweeper(BasicSweeper):
    """Hydra's own sweeper, which composes every job's config just to see whether it can be.

    The launcher does that before it starts anything, and in a hundredth of the time.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leave it to the launcher."""
