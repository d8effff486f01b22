"""The sweeper of :mod:`nnlab.optuna_sweeper`, where Hydra looks for plugins."""

from nnlab.optuna_sweeper import OptunaSweeper


class NnlabOptunaSweeper(OptunaSweeper):
    """The sweeper under the name that ``conf/hydra/sweeper`` uses."""
