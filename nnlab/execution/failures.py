"""What the store and the terminal say of runs that failed or were stopped."""

from collections.abc import Sequence

from nnlab.errors import RunsFailedError
from nnlab.jobs.run import Run
from nnlab.training.outcomes import Status


def status_and_reason(error: BaseException) -> tuple[Status, str]:
    """Return how a run ends that an error breaks off, and why.

    KILLED where the run itself is not to blame: an interrupt, or ``on_error=stop`` after another
    run has failed. FAILED otherwise.
    """
    if isinstance(error, KeyboardInterrupt | RunsFailedError):
        return "KILLED", str(error) or "interrupted"
    return "FAILED", f"{type(error).__name__}: {error}"


def count_failed(runs: Sequence[Run]) -> str:
    """Return how many of some runs failed, as text; empty where none did."""
    failed = sum(run.state.status == "FAILED" for run in runs)
    return f"{failed} of {len(runs)} runs failed" if failed else ""


def raise_if_failed(runs: Sequence[Run]) -> None:
    """Raise an error where runs failed; each of them was reported when it did.

    Raises
    ------
    RunsFailedError
        Saying how many.
    """
    if failed := count_failed(runs):
        raise RunsFailedError(f"{failed}; the reasons are above.")
