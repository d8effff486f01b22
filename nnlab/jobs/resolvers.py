"""The interpolations ``${nnlab.…}`` that the files of ``conf/`` may use."""

import atexit
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TypeVar

from omegaconf import OmegaConf

from nnlab.errors import ConfigError
from nnlab.jobs.code_version import CONF
from nnlab.system.temporary import temporary_folder

Value = TypeVar("Value")


def register() -> None:
    """Register the interpolations with OmegaConf; a second call changes nothing."""
    OmegaConf.register_new_resolver("nnlab.scratch", scratch_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("nnlab.fields", documented_fields, replace=True)
    OmegaConf.register_new_resolver("nnlab.by", looked_up, replace=True)


def looked_up(key: object, table: Mapping[object, Value]) -> Value:
    """Return the entry of a table: ``${nnlab.by:${hidden_size},{5:220,300:40}}``.

    Raises
    ------
    ConfigError
        Where the table has no such entry.
    """
    if key not in table:
        known = ", ".join(map(str, table))
        raise ConfigError(
            f"the config has no entry for {key} here, only for {known}: give the field itself."
        )
    return table[key]


def scratch_folder() -> str:
    """Make a temporary folder for the one file that Hydra's sweeper always writes."""
    opened = ExitStack()
    atexit.register(opened.close)
    return str(opened.enter_context(temporary_folder("nnlab-hydra-")))


def documented_fields() -> str:
    """Return all fields with their defaults and comments, as the files of ``conf/`` have them."""
    main = (CONF / "config.yaml").read_text(encoding="utf-8")
    fields = main[main.index("\nlr:") + 1 : main.index("\nhydra:")].rstrip()
    groups = []
    for group, option, comment in (
        ("data", "mnist_sample", "the default"),
        ("init", "normal", "with init=normal or init=uniform; the others fix scale and shift"),
        ("prune", "halving", "with prune=halving"),
        ("hydra/launcher", "nnlab", "how a sweep is carried out"),
    ):
        lines = (CONF / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines()
        skipped = ("#", "source:", "_target_:", "rule:")
        shown = [f"  {line}" for line in lines if not line.startswith(skipped)]
        groups.append("\n".join((f"\n{group.replace('/', '.')}:  # {comment}", *shown)))
    # Hydra's help is a string.Template, in which a dollar sign is special.
    return "\n".join((fields, *groups, "")).replace("$", "$$")
