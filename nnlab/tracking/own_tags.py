"""Tags that a user gives runs and sweeps, beside those of nnlab and of MLflow."""

import re
from collections.abc import Mapping

from nnlab.errors import ConfigError
from nnlab.jobs.tags import is_reserved
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import existing_store
from nnlab.tracking.writer import TAG_LENGTH, Writer

PART = r"[\w:-][\w.:-]*"
NAME = re.compile(f"{PART}(?:/{PART})*")


def own_tags(record: RunRecord) -> dict[str, str]:
    """Return the tags of a record that are a user's own, sorted by name."""
    return {name: text for name, text in sorted(record.tags.items()) if not is_reserved(name)}


def write_tags(run_id: str, tags: Mapping[str, str | None], uri: str | None = None) -> None:
    """Set tags of a run or sweep, and delete those whose text is None.

    Parameters
    ----------
    run_id : str
        The whole id.
    tags : mapping of str to str or None
    uri : str or None
        Of the store; None as in the config.

    Raises
    ------
    ConfigError
        Where a name is not allowed or is not the user's, or a text is too long.
    TrackingError
        Where the store cannot be written.
    """
    for name, text in tags.items():
        if is_reserved(name):
            raise ConfigError(f"The tag {name!r} says what nnlab or MLflow know: choose another.")
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name of a tag: letters, digits, `_`, `-`, `.`, `:` are allowed, "
                "and `/` between them."
            )
        if text is not None and len(text) > TAG_LENGTH:
            raise ConfigError(
                f"The tag {name} has {len(text):,} characters: at most {TAG_LENGTH:,} are kept."
            )
    writer = Writer(existing_store(uri))
    present = writer.store.get(run_id).tags
    writer.log(run_id, (), {name: text for name, text in tags.items() if text is not None})
    for name, text in tags.items():
        if text is None and name in present:
            writer.remove_tag(run_id, name)
