"""Pydantic models whose errors are sentences: which field, what was found, what is allowed."""

import copy
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nnlab.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


class StrictModel(BaseModel):
    """A part of the config: immutable, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )


def validated(model: type[Model], fields: Mapping[str, Any], prefix: str = "") -> Model:
    """Return an instance of a model with these fields.

    Parameters
    ----------
    model : type[Model]
        A pydantic model. The ``description`` of each of its fields says what is allowed.
    fields : Mapping[str, Any]
        Plain values; a nested mapping for a section.
    prefix : str
        What stands before a field's name in an error, such as ``hydra.launcher.``.

    Raises
    ------
    ConfigError
        Naming each field that is missing, unknown, or has a value that is not allowed.
    """
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        whole = _with_whole_numbers(fields, error, model)
        if whole is not None:
            return validated(model, whole, prefix)
        raise ConfigError(_sentences(error, model, prefix)) from error


def _with_whole_numbers(
    fields: Mapping[str, Any], error: ValidationError, model: type[BaseModel]
) -> dict[str, Any] | None:
    """Return fields in which ``epochs=1e3`` is a whole number; None where none is such a one."""
    whole = copy.deepcopy(dict(fields))
    found = False
    for problem in error.errors():
        value = problem["input"]
        if problem["type"] == "int_type" and isinstance(value, float) and value.is_integer():
            (*path, last), _ = _described(model, problem["loc"])
            section = whole
            for part in path:
                section = section[part]
            section[last], found = int(value), True
    return whole if found else None


def _sentences(error: ValidationError, model: type[BaseModel], prefix: str) -> str:
    lines = []
    for problem in error.errors():
        path, allowed = _described(model, problem["loc"])
        field = prefix + ".".join(path)
        if problem["type"] == "extra_forbidden":
            lines.append(f"{field} is not a field of the config; `python run.py --help` lists all.")
        elif problem["type"] == "missing":
            lines.append(f"{field} is missing: give it as {field}=… .")
        else:
            value = "null" if problem["input"] is None else problem["input"]
            allowed = allowed or problem["msg"].lower()
            if isinstance(value, float) and not math.isfinite(value):
                allowed = f"finite: {allowed}"
            lines.append(f"{field}={value} is not allowed: {field} must be {allowed}.")
    return "\n".join(dict.fromkeys(lines))


def _described(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], str | None]:
    """Return a field's dotted path, and its description, where it has one."""
    path, allowed = [], None
    for part in loc:
        field = model.model_fields.get(str(part))
        path.append(str(part))
        if field is None:
            return path, None
        allowed = field.description
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break  # the rest of the location names members of a union, not fields
        model = field.annotation
    return path, allowed
