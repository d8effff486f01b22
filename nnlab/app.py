"""The way in from the command line: signals, exit codes, and Hydra's errors said plainly."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nnlab.errors import ConfigError, NnlabError
from nnlab.interrupts import Terminated, terminable
from nnlab.launcher import sessions
from nnlab.runs import resolvers

DEBUG = "NNLAB_FULL_ERROR"  # 1: tracebacks for foreseen errors too

# Fields that only some options of their group have.
BELONGS_TO = {
    "init.scale": "init=normal and init=uniform; the other inits fix it",
    "init.shift": "init=normal and init=uniform; the other inits fix it",
    "data.dir": "data=mnist and data=idx",
    "data.path": "data=kaggle",
}

# What people type who come from elsewhere, and what it is called here.
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
}


def train_one(config: DictConfig) -> float:
    """Train the one run that a composed config defines, and return its objective."""
    from nnlab.execution.session import run_one
    from nnlab.runs.compose import from_hydra

    with plainly():  # here too: Hydra would put a line of its own before the sentence
        checked = from_hydra(config)
        return run_one(checked, list(HydraConfig.get().overrides.task)).objective


def run(main: Callable[[], object]) -> None:
    """Run Hydra's main function; exit with 2 and a sentence on a user's mistake.

    130 after Ctrl-C, 143 after SIGTERM, 1 where runs failed.
    """
    os.environ.setdefault(DEBUG, os.environ.get("HYDRA_FULL_ERROR", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its exceptions over instead of exiting
    resolvers.register()
    with terminable(), plainly(), sessions():
        if any(word.startswith("--config-from") for word in sys.argv[1:]):
            from nnlab.reproduction.config_from import apply_config_from

            sys.argv[1:] = apply_config_from(sys.argv[1:], Path(resolvers.scratch_folder()))
        _let_optuna_maximise()
        try:
            main()
        except ValueError as error:  # Hydra's, of its own flags
            if "Only one of --run, --multirun, --cfg" not in str(error):
                raise
            raise ConfigError("-m, --cfg and --info exclude each other: leave -m out.") from error


@contextmanager
def plainly() -> Iterator[None]:
    """End the process with a sentence and an exit code where a foreseen error comes by."""
    try:
        yield
    except KeyboardInterrupt as error:
        terminated = isinstance(error, Terminated)
        _say("Terminated." if terminated else "Interrupted.")
        raise SystemExit(143 if terminated else 130) from None
    except MemoryError as error:
        _say(f"Out of memory: {error}. A smaller hidden_size or batch_size needs less.")
        raise SystemExit(1) from None
    except (NnlabError, HydraException, OmegaConfBaseException) as error:
        if os.environ.get(DEBUG) == "1":
            raise
        _say(explain(error))
        raise SystemExit(error.exit_code if isinstance(error, NnlabError) else 2) from None


def explain(error: BaseException) -> str:
    """Say in a sentence what was wrong with the command line."""
    text = str(error)
    if "hydra/sweeper/sampler/" in text or "hydra_optuna_sweeper" in text:
        return "hydra/sweeper=optuna needs Optuna's sweeper: pip install 'nnlab[optuna]'."
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown:
        return _unknown_field(unknown.group(1))
    option = re.search(r"Could not find '([^']+)/([^'/]+)'\s+Available options in", text)
    if option:
        group, found = option.groups()
        allowed = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        guess = difflib.get_close_matches(found, allowed, 1)
        hint = f" Did you mean {group}={guess[0]}?" if guess else ""
        return f"{group}={found} is not allowed: {group} is one of {', '.join(allowed)}.{hint}"
    several = re.match(r"Ambiguous value for argument '([^']+)'", text)
    if several:
        return f"{several.group(1)} has several values: add -m to sweep over them."
    if "does not support sweep type" in text:
        return "interval(…) and the like need a sweeper that chooses: add hydra/sweeper=optuna."
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override!r} could not be read: give field=value, without spaces, and quote "
            "what has brackets or blanks."
        )
    return " ".join(text.split())


def _unknown_field(field: str) -> str:
    head = f"{field} is not a field of the config"
    if field in BELONGS_TO:
        return f"{field} does not apply here: it belongs to {BELONGS_TO[field]}."
    from nnlab.runs.config import RunConfig

    names = []
    for name, declared in RunConfig.model_fields.items():
        inner = getattr(declared.annotation, "model_fields", {})
        names += [name, *(f"{name}.{each}" for each in inner)]
    guess = [SYNONYMS[field]] if field in SYNONYMS else difflib.get_close_matches(field, names, 1)
    if guess:
        return f"{head}: did you mean `{guess[0]}`?"
    return f"{head}; `python run.py --help` lists all."


def _let_optuna_maximise() -> None:
    """Turn round the default of Optuna's sweeper, which is to minimise.

    What run.py returns by default is an accuracy. And a run that failed is a failed trial, not
    the end of the search.
    """
    Plugins.instance()  # finds the sweeper, if it is installed
    store = ConfigStore.instance()
    if "optuna.yaml" in store.list("hydra/sweeper"):
        node = store.load("hydra/sweeper/optuna.yaml").node
        node.direction = "maximize"
        node.max_failure_rate = 1.0
        store.store("optuna", node, group="hydra/sweeper", provider="nnlab")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
