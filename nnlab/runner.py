"""The parent's loop: hand out segments, log what comes back, end each run honestly.

This process is the only writer. Workers get a state and return a state; whatever happens to them,
the runs' records are here.
"""

import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import numpy as np

from nnlab import provenance
from nnlab.config import LaunchConfig
from nnlab.outcomes import Curve
from nnlab.pictures import Studio
from nnlab.plan import Run, Stack, division, plan_stacks
from nnlab.recorder import Recorder, Watcher
from nnlab.tracking import Tracker
from nnlab.worker import SegmentResult, Workers, run_segment, workers


def execute(
    runs: Sequence[Run],
    tracker: Tracker,
    watcher: Watcher,
    studio: Studio,
    settings: LaunchConfig,
    *,
    parent: str | None = None,
) -> None:
    """Train and log planned runs, and say in each what became of it.

    Parameters
    ----------
    runs : filled in as they go on; one that fails says so, and the others are not affected
    tracker : where they are logged
    watcher : told of every step
    studio : draws the pictures of the best runs
    settings : how to work; nothing in it changes a result
    parent : the id of the run that groups them, in a sweep

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM; the runs that were under way are then KILLED in the store.
    TrackingError
        Where the store fails.
    """
    watcher.planned(runs, sum(run.job.config.epochs for run in runs))
    count, threads = division(runs, settings)
    with workers(count, threads) as crew, tempfile.TemporaryDirectory(prefix="nnlab-") as scratch:
        recorder = Recorder(tracker, watcher, provenance.environment(), Path(scratch), parent)
        try:
            _train(plan_stacks(runs, crew, settings), crew, recorder)
            recorder.draw(runs, studio)
        except BaseException as error:
            for run in runs:
                if run.run_id and run.status is None:
                    recorder.break_off(run, error)
            raise


def _train(stacks: Sequence[Stack], crew: Workers, recorder: Recorder) -> None:
    """Keep every worker busy until all stacks are done."""
    waiting = deque(stacks)
    busy: dict[Future[SegmentResult], Stack] = {}
    while waiting or busy:
        while waiting and len(busy) < crew.count:
            stack = waiting.popleft()
            recorder.start(stack.runs)
            busy[crew.executor.submit(run_segment, stack.next_segment())] = stack
        for future in wait(busy, return_when=FIRST_COMPLETED).done:
            stack = busy.pop(future)
            error = future.exception()
            if error is None:
                rest = _settle(stack, future.result(), recorder)
                if rest is not None:
                    waiting.appendleft(rest)
            else:  # this stack fails, the others go on
                for run in stack.runs:
                    recorder.break_off(run, error)


def _settle(stack: Stack, result: SegmentResult, recorder: Recorder) -> Stack | None:
    """Log a segment, end the runs that are done, and return the stack of the others."""
    state = result.state
    epochs = state.epoch - stack.state.epoch
    diverged_at = state.diverged_at.tolist()
    going = [
        index
        for index, run in enumerate(stack.runs)
        if diverged_at[index] < 0 and run.job.config.epochs > state.epoch
    ]
    for index, run in enumerate(stack.runs):
        curve = Curve.of(result.history, index)
        if index not in going and result.final is not None:
            curve = curve.then(Curve.of(result.final, index))
        recorder.extend(run, curve)
    recorder.watcher.advanced(stack.runs, epochs)

    for index, run in enumerate(stack.runs):
        if index not in going:
            final = state.params.select(np.array([index]))
            recorder.finish(run, final, diverged_at[index])
    if not going:
        return None
    return Stack(
        [stack.runs[index] for index in going],
        state.select(np.array(going)),
        stack.data,
        stack.threads,
        result.seconds / max(1, epochs),
    )
