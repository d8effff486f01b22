"""Recorded commands, before they are printed for somebody to type: what may stand in them.

A command of an archive chooses *what* is trained. Where it is logged and who trains it is chosen on
this machine, and nothing in it may run code: Hydra itself would, from ``hydra.callbacks`` for one.
"""

import re
import shlex

from nnlab.jobs.config import RunConfig
from nnlab.jobs.sweep import field_of
from nnlab.safe_text import CONTROLS

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
FLAGS = ("-m", "--multirun", "--all")
GROUPS = ("experiment", "hydra/sweeper")
FIELD = re.compile(r"\w+(?:\.\w+)*")
PLAIN = re.compile(r"[\w.+-]+")
SWEEPER = "hydra.sweeper."
WHERE = ("tracking", "hydra.launcher", "hydra/launcher")  # left out of commands from elsewhere
PROGRAMS = (("python", "run.py"), ("nnlab", "run"), ("nnlab", "stability"), ("nnlab", "reproduce"))
RUNS_CODE = ("_target_", "hydra.callbacks", "hydra.searchpath", "--config-dir", "--config-path",
             "--config-name", "--experimental", "--package", "--at-commit", "oc.")  # fmt: skip


def commit_of(text: object) -> str | None:
    """Return a commit's id if a text is one: 40 or 64 hex digits."""
    return text if isinstance(text, str) and COMMIT.fullmatch(text) else None


def says_what_is_trained(override: str) -> bool:
    """Tell whether an override chooses what is trained, and nothing else."""
    field, _, value = override.lstrip("+~").partition("=")
    if field == "--config-from":
        return value.isalnum()
    if CONTROLS.search(override) or "\n" in override or "oc." in value or "_target_" in override:
        return False
    if field.startswith(SWEEPER) and FIELD.fullmatch(field):
        return PLAIN.fullmatch(value) is not None
    section = field.partition(".")[0]
    if section in GROUPS:
        return PLAIN.fullmatch(value.replace(",", "")) is not None
    return (
        bool(FIELD.fullmatch(field)) and section in RunConfig.model_fields and section not in WHERE
    )


def recorded_command(text: str, *, imported: bool) -> str | None:
    """Return a command of the store as it may be shown, with each word quoted for a shell.

    Parameters
    ----------
    text : str
        What is recorded.
    imported : bool
        Whether it came out of an archive: then it is refused unless each word is known to be
        harmless, and words that say where to log or who trains are left out.

    Returns
    -------
    str or None
        None where it is no command of this project, or one that could run other code.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if CONTROLS.search(text) or "\n" in text or any(part in text for part in RUNS_CODE):
        return None
    if imported:
        if tuple(words[:2]) not in PROGRAMS:
            return None
        rest = [word for word in words[2:] if not field_of(word).startswith(WHERE)]
        ids = words[1] == "reproduce"  # run.py takes none
        if not all(
            word in FLAGS or says_what_is_trained(word) or (ids and word.isalnum()) for word in rest
        ):
            return None
        words = [*words[:2], *rest]
    elif words[:2] != ["python", "run.py"] and words[:1] != ["nnlab"]:
        return None
    return shlex.join(words)
