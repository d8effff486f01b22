"""The figures of finished runs and of their sweep, drawn in processes of their own.

matplotlib takes as long to import as MLflow; with a second process they are imported in parallel.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlab.analysis.ranking import ranked
from nnlab.analysis.snapshot_files import SnapshotFiles
from nnlab.analysis.terminal import track
from nnlab.errors import NnlabError
from nnlab.execution import drawing
from nnlab.execution.figure_contents import drawable, figure_contents
from nnlab.execution.processes import close_pool, open_pool
from nnlab.execution.progress import print_note
from nnlab.interrupts import deferred
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.plots.names import EXPLORE, RUN_FIGURES, SWEEP_FIGURES
from nnlab.system.stored_files import NUMPY_ERRORS
from nnlab.system.temporary import temporary_folder
from nnlab.tracking.tracker import Tracker
from nnlab.tracking.writer import Writer

Call = tuple[Callable[..., object], tuple[Any, ...]]
DEATHS = 3  # of drawing processes in one go, after which what is left is not drawn


class DrawingPool:
    """Processes that draw. If one dies, others draw what it took along."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._open()

    def _open(self) -> None:
        self._pool = open_pool(self._processes, drawing.set_up)
        self._submit((int, ()))  # the processes start now, and set up while the runs train

    def close(self) -> None:
        """End the processes."""
        close_pool(self._pool)

    def run(self, calls: Sequence[Call]) -> list[Exception | None]:
        """Make calls, and return for each the error by which it failed, or None."""
        futures = [self._submit(call) for call in calls]
        errors = [_error(future) for future in track(futures, "drawing figures")]
        deaths = 0
        for index, error in enumerate(errors):
            if not isinstance(error, BrokenExecutor):
                continue
            if deaths < DEATHS:
                self.close()
                self._open()
                errors[index] = _error(self._submit(calls[index]))
            deaths = deaths + 1 if isinstance(errors[index], BrokenExecutor) else 0
        return errors

    def _submit(self, call: Call) -> Future[object]:
        function, arguments = call
        try:
            return self._pool.submit(function, *arguments)
        except BrokenExecutor as error:
            future: Future[object] = Future()
            future.set_exception(error)
            return future


def _error(future: Future[object]) -> Exception | None:
    try:
        future.result()
    except Exception as error:  # noqa: BLE001 - whatever it is, figures end no sweep
        return error
    return None


@contextmanager
def drawing_pool(pictures: int, processes: int) -> Iterator[DrawingPool | None]:
    """Open a pool of processes that draw; None where no figures are wanted."""
    if not pictures:
        yield None
        return
    pool = DrawingPool(processes)
    try:
        yield pool
    finally:
        pool.close()


@dataclass(frozen=True)
class _Drawing:
    """The figures of one run of the store, which a pool draws into a folder: name -> call."""

    run_id: str
    title: str
    folder: Path
    calls: Mapping[str, Call]


def draw(
    runs: Sequence[Run], pool: DrawingPool | None, tracker: Tracker, sweep: tuple[str, str] | None
) -> None:
    """Add figures to the best runs, as many as their config allows, and some to their sweep.

    Figures that cannot be drawn are named in a sentence, and a tag of their run names them too.

    Parameters
    ----------
    runs : Sequence[Run]
        Reused runs keep the figures that they have.
    pool : DrawingPool or None
        See ``drawing_pool``.
    tracker : Tracker
    sweep : tuple[str, str] or None
        Id and name of the sweep's run; None for a single run.
    """
    if pool is None:
        return
    best = [run for run in ranked(runs) if run.state.status == "FINISHED"]
    chosen = [run for rank, run in enumerate(best) if rank < run.job.config.pictures]
    with temporary_folder() as scratch:
        drawings = []
        if sweep is not None and best:
            folder = scratch / sweep[0]
            folder.mkdir()
            ids = [run.state.run_id for run in runs if run.state.run_id]
            shape = best[0].prepared.dataset.image_shape
            arguments = folder, tracker.store.uri, ids, sweep[1], _extremes(best, tracker), shape
            calls = {SWEEP_FIGURES: (drawing.draw_sweep, arguments)}
            drawings.append(_Drawing(*sweep, folder, calls))
        drawings += [_drawing(run, tracker, scratch) for run in chosen if not run.state.reused]
        _complete(drawings, pool, tracker)


def draw_page(
    runs: Sequence[Run], pool: DrawingPool | None, tracker: Tracker, sweep: tuple[str, str]
) -> None:
    """Add the interactive page to a sweep; the parameters are those of ``draw``."""
    ids = [run.state.run_id for run in runs if run.state.run_id]
    if pool is None or not ids:
        return
    parent, name = sweep
    taken = [run.state.run_id for run in ranked(runs) if run.complete and run.job.config.snapshots]
    with temporary_folder() as scratch:
        arguments = (
            scratch, tracker.store.uri, ids, name, tracker.store.get(parent).experiment_id,
            SnapshotFiles.find(tracker.store, taken),
        )  # fmt: skip
        calls = {EXPLORE: (drawing.draw_page, arguments)}
        _complete([_Drawing(parent, name, scratch, calls)], pool, tracker)


def draw_run(run: Run, pool: DrawingPool, writer: Writer) -> None:
    """Draw a recorded run's figures from its files, as ``draw`` does."""
    with temporary_folder() as scratch:
        _complete([_drawing(run, writer, scratch)], pool, writer)


def _drawing(run: Run, writer: Writer, scratch: Path) -> _Drawing:
    folder = scratch / run.state.run_id
    folder.mkdir()
    calls: dict[str, Call]
    try:
        contents = figure_contents(run, writer.store.download(run.state.run_id))
        names = drawable(contents)
        calls = {name: (drawing.draw, (folder, name, contents)) for name in names}
    except (NnlabError, OSError, *NUMPY_ERRORS) as error:
        calls = dict.fromkeys(RUN_FIGURES, (drawing.refuse, (str(error),)))
    return _Drawing(run.state.run_id, run.job.name, folder, calls)


def _complete(drawings: Sequence[_Drawing], pool: DrawingPool, writer: Writer) -> None:
    """Have figures drawn, and put them among the artifacts of their runs."""
    errors = iter(pool.run([call for drawn in drawings for call in drawn.calls.values()]))
    for drawn in drawings:
        failed = {name: error for name in drawn.calls if (error := next(errors)) is not None}
        with deferred():
            with writer.folder(drawn.run_id) as artifacts:
                for file in drawn.folder.iterdir():
                    (artifacts / file.name).write_bytes(file.read_bytes())
            if failed:
                writer.log(drawn.run_id, (), {Tag.FIGURES_MISSING: ", ".join(failed)})
        if failed:
            of_sweep = failed.keys() & {SWEEP_FIGURES, EXPLORE}
            command = f"report {drawn.run_id[:8]}" if of_sweep else "doctor"
            error = next(iter(failed.values()))
            reason = (
                "the process that drew them died"
                if isinstance(error, BrokenExecutor)
                else f"{type(error).__name__}: {error}"
            )
            print_note(
                f"Figures of {drawn.title} are missing ({', '.join(failed)}): {reason}. "
                f"`nnlab {command}` draws them."
            )


def _extremes(best: Sequence[Run], tracker: Tracker) -> list[tuple[str, float, Path]]:
    """Return name, accuracy and weights of the best and the worst run with a final network."""
    final = [run for run in best if "final_val_accuracy" in run.state.metrics]
    if len(final) < 2:  # noqa: PLR2004 - a best and a worst
        return []
    return [
        (run.job.name, run.state.metrics["final_val_accuracy"],
         tracker.store.download(run.state.run_id, "weights.npz"))
        for run in (final[0], final[-1])
    ]  # fmt: skip
