"""Hydra's errors in one sentence each: what is wrong on the command line, and what is allowed."""

import difflib
import re
import traceback
from types import FrameType

from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnlab.errors import ConfigError, NnlabError

GROUPS = {"init": "name", "data": "source", "prune": "rule"}  # group -> the field of its option

# Fields that only some options of their group have.
BELONGS_TO = {
    "init.scale": "init=normal and init=uniform; the other inits fix it",
    "init.shift": "init=normal and init=uniform; the other inits fix it",
    "data.dir": "data=mnist and data=idx",
    "data.path": "data=file and data=kaggle",
    "data.test_path": "data=file and data=kaggle",
    "data.pixel_max": "data=file, data=idx and data=kaggle; the others hold bytes",
    "data.label_column": "data=file and data=kaggle",
    "data.drop_columns": "data=file and data=kaggle",
    "data.transpose": "data=file and data=idx",
    "hydra.sweeper.direction": "`objective`: a loss is minimised, an accuracy maximised",
}

# Inits as the notes write them, without blanks, brackets and signs of multiplication, and other
# libraries' names -> ours.
NOTED_INITS = {
    "randn-0.5": "randn_minus_half",
    "rand-0.5": "rand_minus_half",
    "randn0.01": "randn_small",
    "0.01randn": "randn_small",
    "randn/100": "randn_small",
    "xavier": "glorot",
    "kaiming": "he",
}

# Other libraries' names of fields -> ours.
SYNONYMS = {
    "learning_rate": "lr",
    "alpha": "lr",
    "eta": "lr",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "iterations": "epochs",
    "hidden": "hidden_size",
    "hidden_units": "hidden_size",
    "n_hidden": "hidden_size",
    "random_state": "seed",
    "batch": "batch_size",
    "initialization": "init",
    "initialisation": "init",
    "dataset": "data",
    "precision": "dtype",
    "target": "target_accuracy",
    "resume": "hydra.launcher.resume",
    "n_jobs": "hydra.launcher.n_jobs",
    "stack": "hydra.launcher.stack",
    "on_error": "hydra.launcher.on_error",
    "backend": "hydra.launcher.backend",
    "n_trials": "hydra.sweeper.n_trials",
    "hydra.sweeper.n_jobs": "hydra.sweeper.batch",
    "hydra.sweeper.sampler.seed": "hydra.sweeper.seed",
}


def as_nnlab_error(error: Exception) -> NnlabError | None:
    """Return a foreseen error as one of nnlab's, with one sentence; None for any other.

    Foreseen are nnlab's own errors, values that Hydra refuses, paths that fail, and a memory that
    is too small.
    """
    if isinstance(error, NnlabError):
        return error
    if isinstance(error, FileNotFoundError) and error.filename is None:  # os.getcwd's
        return ConfigError("The working directory is gone: change into a folder that exists.")
    if isinstance(error, MemoryError):
        remedy = "A smaller hidden_size or batch_size needs less."
        return NnlabError(f"Out of memory: {error}. {remedy}")
    foreseen = (
        isinstance(error, HydraException | OmegaConfBaseException)
        or (isinstance(error, OSError) and error.filename is not None)
        or (isinstance(error, ValueError) and _raised_by_hydra(error))
    )
    return ConfigError(sentence(error)) if foreseen else None


def _raised_by_hydra(error: BaseException) -> bool:
    """Tell whether Hydra itself raised an error, which may be a plain ValueError."""
    frame = _last_frame(error)
    return frame is not None and frame.f_globals.get("__name__", "").startswith("hydra.")


def _last_frame(error: BaseException) -> FrameType | None:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1] if frames else None


def sentence(error: BaseException) -> str:
    """Return one sentence that says what was wrong with the command line.

    Hydra has one type for many errors: they are told apart by their texts, which is why
    ``pyproject.toml`` pins its minor version.
    """
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"{error.filename} cannot be used: {error.strerror}. Check the path, its permissions "
            "and the free space."
        )
    if text.startswith("Config group override must be") and (frame := _last_frame(error)):
        override = getattr(frame.f_locals.get("override"), "input_line", None) or "An override"
        group = override.partition("=")[0]
        return (
            f"{override} is not allowed: {group} takes the name of an option, such as one that "
            "`python run.py --help` lists."
        )
    if "hydra/sweeper/sampler/" in text or "hydra_optuna_sweeper" in text:
        return "Optuna's samplers belong to hydra/sweeper=nnlab_optuna: hydra.sweeper.sampler=tpe."
    if unknown := re.match(r"Could not override '([^']+)'", text):
        return _unknown_field(unknown.group(1), _last_frame(error))
    if "Could not find '" in text and (option := _unknown_option(text)):
        return option
    if several := re.match(r"Ambiguous value for argument '([^']+)'", text):
        return f"{several.group(1)} has several values: add -m to sweep over them."
    if "does not support sweep type" in text:
        return "interval(…) needs a sweeper that searches: add hydra/sweeper=nnlab_optuna."
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override!r} could not be read: give field=value, without spaces, and quote "
            "what has brackets or blanks."
        )
    return " ".join(text.split())


def _unknown_option(text: str) -> str | None:
    """Say which options a group has, where one that it has not was given."""
    if file := re.search(r"Could not find 'data/([^']*[/.][^']*)'", text):
        return f"data={file[1]} is no option: a file or folder is data=file data.path={file[1]}."
    if missing := re.search(r"Could not find '([^']+)/([^'/]+)'\s+Available options in", text):
        group, option = missing.groups()
        allowed = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        noted = (
            NOTED_INITS.get(re.sub(r"[ ()*]|np\.random\.", "", option)) if group == "init" else None
        )
        guess = [noted] if noted else difflib.get_close_matches(option.lower(), allowed, 1)
        hint = f" Did you mean {group}={guess[0]}?" if guess else ""
        if group == "data" and not guess:
            hint = " Images of your own: data=file data.path=FILE_OR_FOLDER."
        return f"{group}={option} is not allowed: {group} is one of {', '.join(allowed)}.{hint}"
    return None


def _unknown_field(field: str, frame: FrameType | None) -> str:
    if field in BELONGS_TO:
        config = None if frame is None else frame.f_locals.get("cfg")
        group = field.partition(".")[0]
        option = OmegaConf.select(config, f"{group}.{GROUPS.get(group)}") if config else None
        to = f"to {group}={option}" if option else "here"
        return f"{field} does not apply {to}: it belongs to {BELONGS_TO[field]}."
    from nnlab.jobs.config import RunConfig

    names = []
    for name, declared in RunConfig.model_fields.items():
        inner = getattr(declared.annotation, "model_fields", {})
        names += [name, *(f"{name}.{part}" for part in inner)]
    lower = field.lower()
    guess = [SYNONYMS[lower]] if lower in SYNONYMS else difflib.get_close_matches(lower, names, 1)
    if guess:
        return f"{field} is not a field of the config: did you mean `{guess[0]}`?"
    return f"{field} is not a field of the config; `python run.py --help` lists all."
