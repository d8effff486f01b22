"""The errors that nnlab raises on purpose: one clear sentence each, no traceback for the user."""

from nnlab.safe_text import masked


def reason_of(error: Exception) -> str:
    """Return what an error says in one line: of the system's errors, its words without number."""
    words = error.strerror if isinstance(error, OSError) else None
    return " ".join((words or str(error)).split())


class NnlabError(Exception):
    """A foreseen failure; its text is written for the user at the terminal.

    Attributes
    ----------
    exit_code : int
        Of the process: 2 for the user's mistakes, 1 for the rest.
    """

    exit_code = 1

    def __init__(self, text: str = "") -> None:
        super().__init__(masked(text))  # an address in it may hold a password


class ConfigError(NnlabError):
    """A config names an unknown field, or a value is not allowed."""

    exit_code = 2


class DataError(NnlabError):
    """A dataset is missing or damaged, or its digest is not the expected one."""

    exit_code = 2


class TrackingError(NnlabError):
    """The tracking store cannot be reached, or cannot be written."""

    exit_code = 2


class DoesNotFitError(NnlabError, MemoryError):
    """A run needs more memory than this machine has: to try it again here cannot help."""

    exit_code = 2


class ServerLostError(TrackingError):
    """The tracking server does not answer, or not any more; it may come back."""


class ArchiveError(NnlabError):
    """An archive of runs cannot be written, or its content is not allowed."""

    exit_code = 2


class RunsFailedError(NnlabError):
    """A sweep has ended, but some of its runs failed."""


class WorkersLostError(NnlabError):
    """The connection to the workers is lost; the last checkpoints are kept."""


class NothingLeftError(NnlabError):
    """There is nothing to do: every run is complete."""

    exit_code = 0


class ResumeError(NnlabError):
    """A sweep cannot be resumed."""

    exit_code = 2


class RecordError(NnlabError):
    """The record of a run in the store lacks something that is needed."""

    exit_code = 2


class StoredFileError(NnlabError):
    """A file of the store or of a ledger is missing or damaged, or holds something else."""

    exit_code = 2


class ReportError(NnlabError):
    """There is no report of what was named, or its folder cannot be written."""

    exit_code = 2


class ComparisonError(NnlabError):
    """Runs cannot be compared in the way that was asked for."""

    exit_code = 2
