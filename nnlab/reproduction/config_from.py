"""``run.py --config-from RUN``: a new run whose config begins as that of a recorded one.

What Hydra gets to see is its own ``--config-dir`` and ``--config-name``: a copy of
``conf/config.yaml`` with the recorded values in it. So changes, sweeps and ``--cfg job`` work as
ever, and a run's name and its ``overrides.yaml`` tell just what was changed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nnlab.errors import ConfigError, RecordError
from nnlab.reproduction.record import read_record
from nnlab.runs.code_version import CHECKOUT
from nnlab.runs.config import RunConfig, fields_with
from nnlab.runs.roles import Role
from nnlab.tracking.store import existing_store
from nnlab.training.initializers import FREE_INITS

OPTION = "--config-from"
NAME = "recorded"
GROUPS = {"init": "name", "data": "source"}  # group -> the field that names its option


def begin_as_recorded(arguments: Sequence[str], folder: Path) -> list[str]:
    """Replace ``--config-from RUN`` in a command line by what Hydra understands.

    Parameters
    ----------
    arguments : the command line, without the program
    folder : a temporary one, for the config

    Raises
    ------
    NnlabError
        Where no run is named, it is not there, or its config cannot be read.
    """
    which, rest = _split(arguments)
    if which is None:
        return rest
    uri = next((word.partition("=")[2] for word in rest if word.startswith("tracking.uri=")), None)
    store = existing_store(uri)
    record = read_record(store, store.find_run(which, "run"))
    changed = [fault for fault in record.faults if fault.startswith("config.yaml")]
    if changed:
        raise RecordError(f"Run {record.id} is nothing to begin with: {'; '.join(changed)}.")
    chosen = [word.partition("=")[0] for word in rest]
    content = recorded_yaml(record.config, record.run.run_id, chosen)
    (folder / f"{NAME}.yaml").write_text(content, encoding="utf-8")
    return [*rest, "--config-dir", str(folder), "--config-name", NAME]


def _split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take the option out of a command line."""
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


def recorded_yaml(config: RunConfig, run_id: str, chosen: Sequence[str]) -> str:
    """Return ``conf/config.yaml`` with a recorded config's values in it.

    Parameters
    ----------
    chosen : fields and groups that the command line sets; of a group that it chooses anew, nothing
        is taken over
    """
    text = (CHECKOUT / "conf" / "config.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    recorded = config.model_dump()
    content.update({name: recorded[name] for name in fields_with(Role.INHERITED)})
    content["derived_from"] = run_id
    content["tracking"]["experiment"] = recorded["tracking"]["experiment"]
    for group, field in GROUPS.items():
        if group in chosen:
            continue
        values = {name: value for name, value in recorded[group].items() if value is not None}
        option = values.pop(field)
        if group == "init" and option not in FREE_INITS:
            values = {"bias": values["bias"]}
        content[group] = values
        for entry in content["defaults"]:
            if isinstance(entry, dict) and group in entry:
                entry[group] = option
    return str(yaml.safe_dump(content, sort_keys=False))
