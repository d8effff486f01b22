"""``run.py --config-from RUN``: a new run that starts with the config of a recorded one.

The option is replaced by two of Hydra's own, ``--config-dir`` and ``--config-name``, which name a
copy of ``conf/config.yaml`` with the recorded values. So further overrides, sweeps and ``--cfg
job`` work as usual, and the run's name and its ``overrides.yaml`` hold the changes only.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nnlab.errors import ConfigError, RecordError
from nnlab.jobs.code_version import CONF
from nnlab.jobs.config import RunConfig, fields_with, from_mapping
from nnlab.jobs.local_fields import PATH_FIELDS, pin_paths, without_foreign_values
from nnlab.jobs.roles import Role
from nnlab.jobs.sweep import field_of
from nnlab.jobs.tags import Tag
from nnlab.jobs.words import text_of
from nnlab.reproduction.recorded_run import read_recorded_run
from nnlab.tracking.store import existing_store
from nnlab.training.initializers import FREE_INITS

OPTION = "--config-from"
NAME = "recorded"
GROUPS = {"init": "name", "data": "source"}  # group -> its field that names the option


def apply_config_from(arguments: Sequence[str], folder: Path) -> list[str]:
    """Replace ``--config-from RUN`` in a command line by options of Hydra.

    Parameters
    ----------
    arguments : Sequence[str]
        The command line, without the program.
    folder : Path
        A temporary folder, to which the config is written.

    Returns
    -------
    list[str]
        The new command line.

    Raises
    ------
    NnlabError
        Where no run is named, it is not in the store, or its config cannot be read.
    """
    which, rest = _split(arguments)
    if which is None:
        return rest
    uris = [word.partition("=")[2] for word in rest if word.startswith("tracking.uri=")]
    uri = text_of(uris[0]) if uris else None
    store = existing_store(uri)
    recorded = read_recorded_run(store, store.find_run(which, "run"))
    changed = [fault for fault in recorded.faults if fault.startswith("config.yaml")]
    if changed:
        raise RecordError(
            f"The config of run {recorded.short_id} cannot be used: {'; '.join(changed)}."
        )
    overridden = [field_of(word) for word in rest]
    config = recorded.config
    if Tag.IMPORTED_FROM in recorded.run.tags and "data" not in overridden:
        config = from_mapping(without_foreign_values(config.model_dump(), overridden))
    content = config_with(config, recorded.run.run_id, overridden)
    (folder / f"{NAME}.yaml").write_text(content, encoding="utf-8")
    return [*rest, "--config-dir", str(folder), "--config-name", NAME]


def _split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the value of the option, and the command line without it."""
    rest = list(arguments)
    for place, word in enumerate(rest):
        name, equals, which = word.partition("=")
        if name == OPTION:
            if not equals and place + 1 < len(rest):
                which = rest.pop(place + 1)
            if not which:
                raise ConfigError(f"{OPTION} needs a run: the beginning of its id, or `last`.")
            del rest[place]
            return which, rest
    return None, rest


def config_with(config: RunConfig, run_id: str, overridden: Sequence[str]) -> str:
    """Return ``conf/config.yaml`` with the values of a recorded config.

    Parameters
    ----------
    config : RunConfig
        The recorded config.
    run_id : str
        The run that has it.
    overridden : Sequence[str]
        Fields and groups that the command line sets. Of a group for which it chooses an option,
        the recorded values are not used.

    Returns
    -------
    str
        YAML.
    """
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    recorded = config.model_dump()
    if set(PATH_FIELDS) & set(overridden):  # the given one starts from here, and not from there
        pin_paths(recorded["data"])
    content.update({name: recorded[name] for name in fields_with(Role.INHERITED)})
    content["derived_from"] = run_id
    content["tracking"]["experiment"] = _literal(recorded["tracking"]["experiment"])
    for group, field in GROUPS.items():
        if group in overridden:
            continue
        values = {
            name: _literal(value) for name, value in recorded[group].items() if value is not None
        }
        option = values.pop(field)
        if group == "init" and option not in FREE_INITS:
            values = {"bias": values["bias"]}
        content[group] = values
        for entry in content["defaults"]:
            if isinstance(entry, dict) and group in entry:
                entry[group] = option
    return str(yaml.safe_dump(content, sort_keys=False))


def _literal(value: Any) -> Any:  # noqa: ANN401 - any value of a config
    """Escape what OmegaConf would take for an interpolation: ``${oc.env:…}`` reads a variable."""
    if not isinstance(value, str):
        return value
    return re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + r"\${", value)
