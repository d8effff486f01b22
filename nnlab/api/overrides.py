"""Python values as the overrides of the command line: ``lr=[0.1, 0.5]`` as ``lr=0.1,0.5``."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from nnlab.errors import ConfigError
from nnlab.jobs.hydra_errors import GROUPS
from nnlab.jobs.words import quoted

LISTS = ("prune.rungs",)  # fields whose value is a list
WORD = re.compile(r"[A-Za-z_/][\w./-]*")  # text that needs no quotes
SPECIAL = ("true", "false", "yes", "no", "on", "off", "null", "none", "nan", "inf")


def overrides_of(fields: Mapping[str, object], *, several: bool) -> list[str]:
    """Write fields as overrides.

    Parameters
    ----------
    fields : Mapping[str, object]
        Field or group -> value. A mapping stands for a section: of ``init``, ``data`` and ``prune``
        it chooses the option too, by ``name``, ``source`` and ``rule``.
    several : bool
        Whether a field may have several values, as a sweep's.

    Raises
    ------
    ConfigError
        Where a value cannot stand in a config.
    """
    words = []
    for name, value in fields.items():
        for field, inner in _flat(name, value):
            text = _text(field, inner)
            if not several and isinstance(text, list):
                raise ConfigError(
                    f"{field} has several values: nnlab.sweep(…) trains a run for each."
                )
            words.append(f"{field}={text if isinstance(text, str) else ','.join(text)}")
    return words


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of a section, its option first; or a field that is none."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    inner = dict(value)
    option = inner.pop(GROUPS.get(name, ""), None)
    if option is not None:
        yield name, option
    for field, each in inner.items():
        yield from _flat(f"{name}.{field}", each)


def _text(field: str, value: object) -> str | list[str]:
    """Write a value; several values as a list."""
    if isinstance(value, range):
        return [f"range({value.start},{value.stop},{value.step})".replace(",1)", ")")]
    if hasattr(value, "tolist"):  # NumPy's and pandas' values and arrays
        value = value.tolist()
    if isinstance(value, str | PathLike) or not isinstance(value, Iterable):
        return _value(field, value)
    values = list(value)
    if field in LISTS:
        return f"[{','.join(_value(field, each) for each in values)}]"
    if not values:
        raise ConfigError(f"{field} has no values: there is nothing to run.")
    return [_value(field, each) for each in values]


def _value(field: str, value: Any) -> str:  # noqa: ANN401 - what a caller gave
    """Write one value in Hydra's grammar."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str | PathLike):
        text = str(fspath(value))
        plain = WORD.fullmatch(text) and text.lower() not in SPECIAL
        return text if plain else quoted(text)
    raise ConfigError(
        f"{field}={value!r} is not allowed: a field takes a number, a text, True, False or None; a "
        "section such as init a mapping of its fields; and in nnlab.sweep, any field a list of "
        "values."
    )
