"""The entry point of ``run.py`` and ``nnlab run``: Hydra, signals, errors and exit codes."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nnlab.errors import ConfigError
from nnlab.interrupts import Terminated, terminable
from nnlab.jobs import resolvers
from nnlab.jobs.code_version import CONF
from nnlab.jobs.hydra_errors import as_nnlab_error, sentence
from nnlab.jobs.words import asks_for_several, hydra_words
from nnlab.launcher import sweep_of_command
from nnlab.safe_text import masked, printable
from nnlab.system.home import ensure_home
from nnlab.system.processor import check_kernels
from nnlab.system.standard_streams import StandardStreams
from nnlab.system.status_line import begin, of_command

DEBUG = "NNLAB_FULL_ERROR"  # 1: foreseen errors come with their tracebacks


def train_one(config: DictConfig) -> float:
    """Train the one run that a composed config defines, and return its objective."""
    from nnlab.execution.single_session import run_one
    from nnlab.jobs.compose import from_hydra

    with exit_on_error():  # here too: Hydra would print a line of its own before the sentence
        checked = from_hydra(config)
        return run_one(checked, list(HydraConfig.get().overrides.task)).objective


def run_words(words: Sequence[str]) -> None:
    """Do what ``python run.py`` does with these words, in any folder and without a checkout."""
    sys.argv[1:] = words  # Hydra reads the command line of the process
    run(hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(train_one))


def run(main: Callable[[], object]) -> None:
    """Run Hydra's main function; exit as ``exit_on_error`` does."""
    os.environ.setdefault(DEBUG, os.environ.get("HYDRA_FULL_ERROR", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its exceptions over instead of exiting
    resolvers.register()
    ensure_home()
    with StandardStreams(), terminable(), exit_on_error(), sweep_of_command():
        if not {"-sc", "--shell-completion"} & set(sys.argv):  # a shell asks, at its Tab key
            begin("reading the config")
        if any(word.startswith("--config-from") for word in sys.argv[1:]):
            from nnlab.reproduction.config_from import apply_config_from

            sys.argv[1:] = apply_config_from(sys.argv[1:], Path(resolvers.scratch_folder()))
        _refuse_unknown_options(sys.argv[1:])
        sys.argv[1:] = hydra_words(sys.argv[1:], several=asks_for_several(sys.argv[1:]))
        try:
            main()
        except ValueError as error:  # Hydra's, of its own flags
            if "Only one of --run, --multirun, --cfg" not in str(error):
                raise
            raise ConfigError("-m, --cfg and --info exclude each other: leave -m out.") from error


def _refuse_unknown_options(words: Sequence[str]) -> None:
    """Say how a field is set, where it was given as an option: Hydra prints its own options.

    Raises
    ------
    ConfigError
        Where there is such a word.
    """
    options = get_args_parser()._option_string_actions  # noqa: SLF001 - argparse shows them nowhere
    for word in words:
        name = word.partition("=")[0]
        if word.startswith("--") and not any(known.startswith(name) for known in options):
            raise ConfigError(
                f"{word} is no option: a field is set without dashes, as "
                f"{name[2:].replace('-', '_')}=VALUE; `python run.py --help` lists all."
            )


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn interrupts and foreseen errors into one sentence on stderr and an exit code.

    Raises
    ------
    SystemExit
        With 130 after Ctrl-C, 143 after SIGTERM, 129 where the terminal is closed, 2 on a user's
        mistake, 1 where runs failed.
    """
    try:
        check_kernels()  # before NumPy is imported
        with of_command():
            yield
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Terminated) else signal.SIGINT
        _print("Interrupted." if number == signal.SIGINT else "Terminated.")
        raise SystemExit(128 + number) from None
    except Exception as error:
        foreseen = as_nnlab_error(error)
        traced = os.environ.get(DEBUG) == "1" and not isinstance(error, MemoryError)
        if foreseen is None or traced:
            raise
        _print(sentence(foreseen))
        raise SystemExit(foreseen.exit_code) from None


def _print(text: str) -> None:
    if sys.stderr.isatty():
        from nnlab.analysis.terminal import folded

        text = folded(text, shutil.get_terminal_size().columns)
    sys.stderr.write(printable(masked(text)) + "\n")
