"""The sweeper of :mod:`nnlab.search.sweeper`, where Hydra looks for plugins."""

from nnlab.search.sweeper import OptunaSweeper


class NnlabOptunaSweeper(OptunaSweeper):
    """The sweeper under the name that ``conf/hydra/sweeper`` uses."""
