"""The parent's loop: hand out segments, log what comes back, end each run honestly.

This process is the only writer. Workers get a state and return a state; whatever happens to them,
the runs' records are here.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace

import numpy as np

from nnlab import interrupts
from nnlab.errors import NnlabError, RunsFailedError
from nnlab.execution.checkpoints import Checkpoint, Checkpoints
from nnlab.execution.pruning import Halving
from nnlab.execution.recorder import Recorder
from nnlab.execution.stacks import Stack, plan_stacks
from nnlab.execution.workers import Workers
from nnlab.runs.launch_config import LaunchConfig
from nnlab.runs.run import Run
from nnlab.training.engine import measure
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve
from nnlab.training.segments import SegmentResult

PATIENCE = 3  # workers that may die over the same segment before it is taken for the cause


def train(
    runs: Sequence[Run],
    workers: Workers,
    recorder: Recorder,
    checkpoints: Checkpoints,
    settings: LaunchConfig,
    halving: Halving | None = None,
) -> None:
    """Train and log runs from where they are to their ends, and say in each what became of it.

    Parameters
    ----------
    runs : filled in as they go on; one that fails says so, and the others are not affected
    workers : who trains them
    recorder : who writes them down
    checkpoints : where they stand on disk
    settings : how to work; nothing in it changes a result
    halving : which runs to drop on the way; None drops none

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, behind the round that is under way; on a second one at once.
    TrackingError
        Where the store fails.
    """
    todo = [run for run in runs if not run.complete]
    recorder.watcher.planned(runs)
    loop = _Loop(workers, recorder, checkpoints, settings, halving, list(runs))
    try:
        with interrupts.graceful():
            loop.run(todo)
    except BaseException as error:
        # All in one block: a second Ctrl-C in the middle would leave runs that nobody ends. And
        # where the store fails here too, `nnlab doctor` ends the rest.
        with suppress(NnlabError), interrupts.deferred():
            for run in todo:
                if run.run_id and run.status is None:
                    recorder.break_off(run, error)
        raise


class _Loop:
    """Where every stack is: waiting, at a worker, just back, or at a rung until all are there."""

    def __init__(
        self,
        workers: Workers,
        recorder: Recorder,
        checkpoints: Checkpoints,
        settings: LaunchConfig,
        halving: Halving | None,
        runs: list[Run],
    ) -> None:
        self.workers = workers
        self.recorder = recorder
        self.checkpoints = checkpoints
        self.settings = settings
        self.halving = halving
        self.runs = runs
        self.waiting: deque[Stack] = deque()
        self.busy: dict[Future[SegmentResult], Stack] = {}
        self.back: list[tuple[Stack, SegmentResult]] = []
        self.at_rung: list[Stack] = []
        self.failed = False

    def run(self, todo: Sequence[Run]) -> None:
        """Keep every worker busy until all stacks are done, or there is a reason to stop."""
        self._queue(todo)
        while True:
            if not self._stopping():
                self._hand_out()
            self._record()  # while the workers work
            if self.busy:
                self._collect()
            elif self._stopping():
                break
            elif self.at_rung:
                self._drop()
            elif not self.waiting:
                return
        self._pause()

    def _stopping(self) -> bool:
        return interrupts.stop_requested() or (self.failed and self.settings.on_error == "stop")

    def _queue(self, runs: Sequence[Run]) -> None:
        """Form stacks; those that stand at a rung wait there for the others."""
        for stack in plan_stacks(runs, self.workers.count, self.settings):
            epoch = stack.runs[0].epoch
            at_rung = self.halving is not None and epoch in self.halving.rungs
            (self.at_rung if at_rung else self.waiting).append(stack)

    def _hand_out(self) -> None:
        """Give waiting stacks to free workers; one over which a worker died goes alone."""
        while self.waiting and len(self.busy) < self.workers.count:
            suspect = next((stack for stack in self.waiting if stack.failures), None)
            if suspect is not None and self.busy:
                return
            stack = suspect or self.waiting[0]
            self.waiting.remove(stack)
            try:
                state = stack.load(self.checkpoints)
            except MemoryError as error:
                self._set_back(stack, error)
                continue
            rung = None if self.halving is None else self.halving.next_rung(state.epoch)
            segment = stack.segment(state, self.workers.threads, rung)
            self.busy[self.workers.submit(segment, stack.training)] = stack
            self.recorder.start(stack.runs)
            if suspect is not None:
                return

    def _collect(self) -> None:
        """Take back what is done, and queue what is left of it."""
        for future in self.workers.wait(list(self.busy)):
            stack = self.busy.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is not None:
                self._set_back(stack, error)
                continue
            result = future.result()
            self.back.append((stack, result))
            rest = _rest(stack, result)
            if rest is None:
                continue
            if self.halving is not None and result.state.epoch in self.halving.rungs:
                self.at_rung.append(rest)
            else:
                self.waiting.appendleft(rest)

    def _record(self) -> None:
        """Log the segments that came back, checkpoint what goes on, end what is done."""
        for stack, result in self.back:
            _record(stack, result, self.recorder)
            going = [run for run in stack.runs if run.status is None]
            at_rung = self.halving is not None and result.state.epoch in self.halving.rungs
            if going and (at_rung or self.checkpoints.due):
                self._save(stack, result.state.params)
            for run in stack.runs:
                if run.status is not None:
                    self.checkpoints.discard(run.index)
        self.back.clear()

    def _save(self, stack: Stack, params: Params) -> None:
        states = {}
        for place, run in enumerate(stack.runs):
            if run.status is None and run.curve is not None:
                own = params.select(np.array([place]))
                states[run.index] = Checkpoint(own, run.epoch, run.curve)
        self.checkpoints.save(states)

    def _set_back(self, stack: Stack, error: BaseException) -> None:
        """Try again what a worker's death broke off; find out which run of a stack raises."""
        if self.workers.lost_worker(error):
            stack.failures += 1
            if stack.failures < PATIENCE:
                self.waiting.appendleft(stack)
                return
            error = MemoryError(
                f"{PATIENCE} workers died over it: killed, or out of memory ({error})"
            )
        if len(stack.runs) > 1:
            self.waiting.extendleft(
                replace(each, failures=min(stack.failures, 1)) for each in stack.alone()
            )
            return
        (run,) = stack.runs
        self.recorder.start([run])
        self.recorder.break_off(run, error)
        self.failed = True

    def _drop(self) -> None:
        """All stand at a rung: end the runs that do badly, and stack the others anew."""
        assert self.halving is not None
        rung = min(stack.runs[0].epoch for stack in self.at_rung)
        here = [stack for stack in self.at_rung if stack.runs[0].epoch == rung]
        self.at_rung = [stack for stack in self.at_rung if stack.runs[0].epoch != rung]
        rows = {
            run.index: (stack, place, Curve.of(row, place))
            for stack in here
            for row in [measure(stack.load(self.checkpoints), stack.training)]
            for place, run in enumerate(stack.runs)
        }
        accuracy = {index: row.values["val/accuracy"][0] for index, (_, _, row) in rows.items()}
        behind = sum(run.epoch > rung and run.outcome != "pruned" for run in self.runs)
        dropped = self.halving.dropped(rung, accuracy, behind)
        for index, reason in dropped.items():
            stack, place, row = rows[index]
            run = stack.runs[place]
            final = stack.load(self.checkpoints).params.select(np.array([place]))
            self.recorder.start([run])
            self.recorder.finish(run, row, final, pruned=reason)
            self.checkpoints.discard(index)
        on = [run for stack in here for run in stack.runs if run.index not in dropped]
        self.waiting.extend(plan_stacks(on, self.workers.count, self.settings))

    def _pause(self) -> None:
        """Leave on disk all that is under way, where a resumed sweep finds it."""
        for stack in (*self.waiting, *self.at_rung):
            if stack.state is not None:
                self._save(stack, stack.state.params)
        if self.failed and not interrupts.stop_requested():
            raise RunsFailedError("a run failed, and on_error=stop")


def _rest(stack: Stack, result: SegmentResult) -> Stack | None:
    """Return the stack of the runs that go on."""
    state = result.state
    going = [
        place
        for place, run in enumerate(stack.runs)
        if state.diverged_at[place] < 0 and run.job.config.epochs > state.epoch
    ]
    if not going:
        return None
    assert stack.state is not None
    epochs = state.epoch - stack.state.epoch
    return Stack(
        [stack.runs[place] for place in going],
        stack.training,
        state if len(going) == len(stack.runs) else state.select(np.array(going)),
        result.seconds / max(1, epochs),
    )


def _record(stack: Stack, result: SegmentResult, recorder: Recorder) -> None:
    """Log a segment, and end the runs that are done."""
    state = result.state
    for place, run in enumerate(stack.runs):
        curve = Curve.of(result.history, place)
        diverged_at = int(state.diverged_at[place])
        done = diverged_at >= 0 or run.job.config.epochs <= state.epoch
        if done and result.final is not None:
            curve = curve.then(Curve.of(result.final, place))
        run.epoch = state.epoch
        if done:
            final = state.params.select(np.array([place]))
            recorder.finish(run, curve, final, diverged_at=diverged_at)
        else:
            recorder.extend(run, curve)
    recorder.watcher.advanced(stack.runs)
