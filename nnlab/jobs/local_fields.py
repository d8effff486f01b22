"""The fields of a recorded config that are this machine's business: where data is, and threads."""

from collections.abc import Collection, Mapping
from typing import Any

from nnlab.errors import ConfigError
from nnlab.jobs.config import DataConfig
from nnlab.jobs.words import text_of

PATH_FIELDS = ("data.dir", "data.path", "data.test_path")
LOCAL_FIELDS = (*PATH_FIELDS, "threads")
NEEDED = {
    "idx": "dir",
    "kaggle": "path",
    "file": "path",
}  # source of data -> its field that has no default


def without_foreign_values(
    config: Mapping[str, Any], overridden: Collection[str]
) -> dict[str, Any]:
    """Return a config from another machine without what it says of that machine.

    Paths that it names would be read here; the standard source of the data is used instead.

    Parameters
    ----------
    config : Mapping[str, Any]
        As ``RunConfig.model_dump`` returns it.
    overridden : Collection[str]
        Fields that were given here; they stay.

    Raises
    ------
    ConfigError
        Where the data has no standard source, and its path is not given.
    """
    data = dict(config["data"])
    needed = NEEDED.get(data["source"])
    if needed is not None and f"data.{needed}" not in overridden:
        raise ConfigError(
            f"This run was imported, and where its data={data['source']} was on the machine that "
            f"made it says nothing here: give data.{needed}=… ."
        )
    data |= {field.partition(".")[2]: None for field in PATH_FIELDS if field not in overridden} | {
        "cwd": None
    }
    return {
        **config,
        "data": data,
        "threads": config["threads"] if "threads" in overridden else None,
    }


def set_local_field(config: Mapping[str, Any], override: str, what: str) -> None:
    """Set a field of a recorded config whose value may be another on this machine.

    Parameters
    ----------
    config : Mapping[str, Any]
        Nested; it is changed.
    override : str
        ``field=value``.
    what : str
        What keeps its config, for the error: ``a reproduction``.

    Raises
    ------
    ConfigError
        Where the override sets another field.
    """
    field, equals, value = override.partition("=")
    if field not in LOCAL_FIELDS or not equals:
        raise ConfigError(
            f"{override} cannot be changed: {what} keeps its config. Only "
            f"{', '.join(LOCAL_FIELDS)} may be changed; to train with other changes, use "
            "python run.py --config-from."
        )
    *path, last = field.split(".")
    section: Any = config
    for part in path:
        section = section[part]
    if field in PATH_FIELDS:
        pin_paths(section)
    section[last] = int(value) if field == "threads" and value.isdigit() else text_of(value)


def pin_paths(data: dict[str, Any]) -> None:
    """Write relative paths as they are found from where the run was started."""
    config = DataConfig.model_validate(data)
    for field in PATH_FIELDS:
        name = field.partition(".")[2]
        if data.get(name) is not None:
            data[name] = str(config.located(data[name]).absolute())
    data["cwd"] = None
