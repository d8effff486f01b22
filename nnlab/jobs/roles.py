"""What the fields of the config are for: each declares its role, and lists of fields follow."""

from collections.abc import Iterable
from enum import Flag, auto

from pydantic import BaseModel


class Role(Flag):
    """What a field is for: ``lr: Annotated[float, Role.HYPERPARAMETER]``.

    ``RESULT``: a result can depend on it. ``LOGGED``: the store has it as a parameter, under the
    field's own name. ``NAMED``: a run is named after it. ``SHARED``: it belongs to a sweep as a
    whole, so all its runs have the same. ``ONCE``: it belongs to one run or one sweep, so a command
    that runs further seeds leaves it out. ``INHERITED``: ``--config-from`` copies it (the groups
    ``init`` and ``data`` are copied whole).
    """

    WHERE_OR_HOW = 0  # only where things are, or how the work is done
    RESULT = auto()
    LOGGED = auto()
    NAMED = auto()
    SHARED = auto()
    ONCE = auto()
    INHERITED = auto()

    SETTING = RESULT | NAMED
    PARAMETER = SETTING | LOGGED
    HYPERPARAMETER = PARAMETER | INHERITED


def declared_roles(model: type[BaseModel]) -> dict[str, Role]:
    """Return the role of each field of a model, by its dotted name, in order.

    A section may declare one role for all its fields; then the section stands for them.

    Raises
    ------
    TypeError
        Where a field has no role.
    """
    roles: dict[str, Role] = {}
    for name, field in model.model_fields.items():
        declared = [entry for entry in field.metadata if isinstance(entry, Role)]
        section = field.annotation
        if declared:
            roles[name] = declared[0]
        elif isinstance(section, type) and issubclass(section, BaseModel):
            roles |= {f"{name}.{inner}": role for inner, role in declared_roles(section).items()}
        else:
            raise TypeError(f"{model.__name__}.{name} has no role: add one, as Annotated[…, Role].")
    return roles


def is_among(name: str, fields: Iterable[str]) -> bool:
    """Tell whether a dotted name is one of these fields, or lies in one of these sections."""
    return any(name == field or name.startswith(f"{field}.") for field in fields)
