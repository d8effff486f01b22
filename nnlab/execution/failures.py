"""What the store and the terminal say of runs that failed or were stopped."""

from collections.abc import Sequence

from nnlab.errors import DoesNotFitError, RunsFailedError
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.tracking.records import RunRecord
from nnlab.training.outcomes import Status
from nnlab.wording import counted


def status_and_reason(error: BaseException) -> tuple[Status, str]:
    """Return how a run ends that an error breaks off, and why.

    KILLED where the run itself is not to blame: an interrupt, or ``on_error=stop`` after another
    run has failed. FAILED otherwise.
    """
    if isinstance(error, KeyboardInterrupt | RunsFailedError):
        return "KILLED", str(error) or "interrupted"
    return "FAILED", f"{type(error).__name__}: {error}"


def can_be_resumed(run: Run) -> bool:
    """Tell whether a run is not complete, and may come to its end where it is trained again."""
    return not run.complete and not isinstance(run.state.error, DoesNotFitError)


def does_not_fit(record: RunRecord) -> bool:
    """Tell whether a recorded run needs more memory than there was."""
    return record.tags.get(Tag.REASON, "").startswith(DoesNotFitError.__name__)


def count_failed(runs: Sequence[Run]) -> str:
    """Return how many of some runs failed, as text; empty where none did."""
    failed = sum(run.state.status == "FAILED" for run in runs)
    return f"{failed} of {counted(len(runs), 'run')} failed" if failed else ""


def raise_if_failed(runs: Sequence[Run]) -> None:
    """Raise an error where runs failed; each of them was reported when it did.

    Raises
    ------
    RunsFailedError
        Saying how many.
    """
    if failed := count_failed(runs):
        raise RunsFailedError(f"{failed}; the reasons are above.")
