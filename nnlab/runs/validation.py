"""Models whose errors are sentences: which field, what was found, what is allowed."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nnlab.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


class Checked(BaseModel):
    """A part of the config: immutable, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )


def checked(model: type[Model], plain: Mapping[str, Any], prefix: str = "") -> Model:
    """Check a mapping against a model.

    Raises
    ------
    ConfigError
        Naming each field that is missing or holds what it may not hold.
    """
    try:
        return model.model_validate(dict(plain))
    except ValidationError as error:
        raise ConfigError(_sentences(error, model, prefix)) from error


def _sentences(error: ValidationError, model: type[BaseModel], prefix: str) -> str:
    """Say of each wrong field what was found and what is allowed."""
    lines = []
    for problem in error.errors():
        path, allowed = _described(model, problem["loc"])
        field = prefix + ".".join(path)
        if problem["type"] == "extra_forbidden":
            lines.append(f"{field} is not a field of the config; `python run.py --help` lists all.")
        elif problem["type"] == "missing":
            lines.append(f"{field} is missing: give it as {field}=… .")
        else:
            found = "null" if problem["input"] is None else problem["input"]
            allowed = allowed or problem["msg"].lower()
            lines.append(f"{field}={found} is not allowed: {field} must be {allowed}.")
    return "\n".join(dict.fromkeys(lines))


def _described(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], str | None]:
    """Return the field's dotted path, and what its own line in this module says of its values."""
    path, allowed = [], None
    for part in loc:
        field = model.model_fields.get(str(part))
        path.append(str(part))
        if field is None:
            return path, None
        allowed = field.description
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break  # what follows names members of a union, not fields
        model = field.annotation
    return path, allowed
