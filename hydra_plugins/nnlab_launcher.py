"""Where Hydra looks for plugins: it instantiates a launcher only from this namespace package."""

from nnlab.launcher import StackLauncher


class NnlabLauncher(StackLauncher):
    """The launcher of :mod:`nnlab.launcher`, under the name that ``conf/hydra/launcher`` uses."""
