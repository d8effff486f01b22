"""The errors that nnlab raises on purpose: one clear sentence each, no traceback for the user."""


class NnlabError(Exception):
    """A failure that nnlab foresaw; its text is meant for the person at the terminal.

    ``exit_code`` is what the process ends with: 2 for the user's mistakes, 1 for the rest.
    """

    exit_code = 1


class ConfigError(NnlabError):
    """A config names an unknown field, or a field holds what it may not hold."""

    exit_code = 2


class DataError(NnlabError):
    """A dataset is missing, broken, or not what it claims to be."""

    exit_code = 2


class TrackingError(NnlabError):
    """The tracking store cannot be reached or refuses what was sent."""

    exit_code = 2


class ArchiveError(NnlabError):
    """An archive of runs cannot be written, or holds what none may hold."""

    exit_code = 2


class RunsFailedError(NnlabError):
    """A sweep is complete, but not all of its runs came to their end."""


class WorkersLostError(NnlabError):
    """The workers are gone for good; what they had reached is kept."""


class NothingLeftError(NnlabError):
    """There is nothing to do: every run is complete."""

    exit_code = 0


class ResumeError(NnlabError):
    """A sweep cannot be taken up where it stopped."""

    exit_code = 2


class RecordError(NnlabError):
    """What the store keeps of a run is not enough for what is asked for."""

    exit_code = 2


class ReportError(NnlabError):
    """A report cannot be written of what was named, or to where it was to go."""

    exit_code = 2


class ComparisonError(NnlabError):
    """What is asked of some runs cannot be told from them, or was not asked in words known here."""

    exit_code = 2
