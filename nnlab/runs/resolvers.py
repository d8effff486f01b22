"""What the files of ``conf/`` may ask of the code: the interpolations ``${nnlab.…}``."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from typing import TypeVar

from omegaconf import OmegaConf

from nnlab.errors import ConfigError
from nnlab.runs.code_version import CHECKOUT

T = TypeVar("T")


def register() -> None:
    """Teach OmegaConf our interpolations; more than once does no harm."""
    OmegaConf.register_new_resolver("nnlab.scratch", scratch_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("nnlab.fields", documented_fields, replace=True)
    OmegaConf.register_new_resolver("nnlab.by", by, replace=True)


def by(value: object, table: Mapping[object, T]) -> T:
    """Look a field's value up by that of another: ``${nnlab.by:${hidden_size},{5:220,300:40}}``.

    Raises
    ------
    ConfigError
        Where the table does not have it.
    """
    if value not in table:
        known = ", ".join(map(str, table))
        raise ConfigError(
            f"the config has no entry for {value} here, only for {known}: give the field itself."
        )
    return table[value]


def scratch_folder() -> str:
    """Return a temporary folder for the one file that Hydra's sweeper insists on writing."""
    folder = tempfile.mkdtemp(prefix="nnlab-hydra-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def documented_fields() -> str:
    """Return the fields with their defaults and comments, as they stand in ``conf/``."""
    conf = CHECKOUT / "conf"
    main = (conf / "config.yaml").read_text(encoding="utf-8")
    fields = main[main.index("\nlr:") + 1 : main.index("\nhydra:")].rstrip()
    groups = []
    for group, option, when in (
        ("data", "mnist_sample", "the default"),
        ("init", "normal", "with init=normal or init=uniform; the others fix scale and shift"),
        ("prune", "halving", "with prune=halving"),
        ("hydra/launcher", "nnlab", "how a sweep is carried out"),
    ):
        lines = (conf / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines()
        skipped = ("#", "source:", "_target_:", "rule:")
        inner = [f"  {line}" for line in lines if not line.startswith(skipped)]
        head = f"\n{group.replace('/', '.')}:  # {when}\n"
        groups.append(head + "\n".join(inner))
    groups.append("")
    # Hydra's help is a string.Template, to which a dollar means something.
    return "\n".join((fields, *groups)).replace("$", "$$")
