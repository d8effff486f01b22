"""The scheduler: hands segments to workers, records what they trained, ends each run.

It runs in the parent process, the only writer. A worker gets a state and returns a state;
whatever happens to the worker, the records of the runs are here.
"""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace

import numpy as np

from nnlab import interrupts
from nnlab.errors import NnlabError, RunsFailedError
from nnlab.execution.checkpoints import Checkpoints
from nnlab.execution.pruning import Halving
from nnlab.execution.recorder import Recorder
from nnlab.execution.stacks import Stack, plan_stacks
from nnlab.execution.workers import Workers
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Run
from nnlab.training.engine import measure
from nnlab.training.outcomes import Curve
from nnlab.training.segments import SegmentResult

RETURN_SECONDS = 60.0  # that a lost server is waited for, when nothing is left to train
WAIT_SECONDS = 0.2  # between two looks whether it is back
MAX_WORKER_DEATHS = 3  # over one segment; then the segment is taken for the cause


class Scheduler:
    """Trains runs from where they are to their ends.

    A stack of runs is waiting, or at a worker, or just back from one, or waits at a rung until
    all others are there.

    Parameters
    ----------
    runs : Sequence[Run]
        All runs of the plan; those that are complete are left alone.
    workers : Workers
        Train the segments.
    recorder : Recorder
        Writes down what becomes of each run. A run that fails does not affect the others.
    checkpoints : Checkpoints
        Hold the runs' states on disk.
    settings : LaunchConfig
        How to work; nothing in it changes a result.
    halving : Halving or None
        Decides which runs are pruned; None prunes none.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        workers: Workers,
        recorder: Recorder,
        checkpoints: Checkpoints,
        settings: LaunchConfig,
        halving: Halving | None = None,
    ) -> None:
        self._runs = runs
        self._workers = workers
        self._recorder = recorder
        self._checkpoints = checkpoints
        self._settings = settings
        self._halving = halving
        self._waiting: deque[Stack] = deque()
        self._busy: dict[Future[SegmentResult], Stack] = {}
        self._back: list[tuple[Stack, SegmentResult]] = []
        self._at_rung: list[Stack] = []
        self._failed = False
        self._not_after: float | None = None

    def train(self) -> None:
        """Train all runs that are not complete.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C or SIGTERM, when the segments under way are back; on a second one at once.
        RunsFailedError
            Where a run failed, and ``on_error=stop``.
        TrackingError
            Where the store fails.
        """
        unfinished = [run for run in self._runs if not run.complete]
        self._recorder.progress.plan(self._runs)
        try:
            with interrupts.graceful():
                self._train(unfinished)
        except BaseException as error:
            # All in one block: a second Ctrl-C in between would leave runs that nobody ends. And
            # where the store fails here too, `nnlab doctor` ends the rest.
            with suppress(NnlabError), interrupts.deferred():
                for run in unfinished:
                    if run.state.run_id and run.state.status is None:
                        self._recorder.break_off(run, error)
            raise

    def _train(self, unfinished: Sequence[Run]) -> None:
        """Keep every worker busy until all stacks are done, or there is a reason to stop."""
        self._queue(unfinished)
        while True:
            if not self._stopping():
                self._hand_out()
            self._record()  # while the workers work
            self._catch_up()
            if self._busy:
                self._collect()
            elif self._stopping():
                break
            elif self._at_rung:
                self._prune()
            elif not self._waiting and not self._wait_for_server():
                return
        for stack in (*self._waiting, *self._at_rung):
            if stack.state is not None:
                self._checkpoints.save(stack.snapshot(stack.state))
        if self._failed and not interrupts.stop_requested():
            raise RunsFailedError("a run failed, and on_error=stop")

    def _stopping(self) -> bool:
        return interrupts.stop_requested() or (self._failed and self._settings.on_error == "stop")

    def _is_rung(self, epoch: int) -> bool:
        return self._halving is not None and epoch in self._halving.rungs

    def _queue(self, runs: Sequence[Run]) -> None:
        """Form stacks; those of a resumed sweep may be at a rung."""
        for stack in plan_stacks(runs, self._workers.count, self._settings):
            at_rung = self._is_rung(stack.runs[0].state.epoch)
            (self._at_rung if at_rung else self._waiting).append(stack)

    def _hand_out(self) -> None:
        """Give waiting stacks to free workers; a stack that a worker died over goes alone."""
        while self._waiting and len(self._busy) < self._workers.count:
            suspect = next((stack for stack in self._waiting if stack.worker_deaths), None)
            if suspect is not None and self._busy:
                return
            stack = suspect or self._waiting[0]
            self._waiting.remove(stack)
            try:
                state = stack.load(self._checkpoints)
            except MemoryError as error:
                self._retry_or_fail(stack, error)
                continue
            rung = None if self._halving is None else self._halving.next_rung(state.epoch)
            segment = stack.segment(state, self._workers.threads, rung)
            self._busy[self._workers.submit(segment, stack.training)] = stack
            self._recorder.start(stack.runs)
            if suspect is not None:
                return

    def _collect(self) -> None:
        """Take back the segments that are done, and queue the runs that go on."""
        for future in self._workers.wait(list(self._busy)):
            stack = self._busy.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is not None:
                self._retry_or_fail(stack, error)
                continue
            result = future.result()
            self._back.append((stack, result))
            rest = stack.after(result)
            if rest is None:
                continue
            if self._is_rung(result.state.epoch):
                self._at_rung.append(rest)
            else:
                self._waiting.appendleft(rest)

    def _record(self) -> None:
        """Log the segments that came back, end the runs that are done, checkpoint the others.

        The checkpoint of a run that is done serves where the store's server is lost for good.
        """
        for stack, result in self._back:
            ends = stack.ends(result)
            for position, run in enumerate(stack.runs):
                self._record_run(run, position, result)
            self._recorder.progress.update(stack.runs)
            unfinished = any(run.state.status is None for run in stack.runs)
            if unfinished and (self._is_rung(result.state.epoch) or self._checkpoints.due):
                self._checkpoints.save(stack.snapshot(result.state))
            late = {run.index for run in stack.runs if run.state.late}
            self._checkpoints.save({index: end for index, end in ends.items() if index in late})
            for run in stack.runs:
                if run.state.status is not None and not run.state.late:
                    self._checkpoints.discard(run.index)
        self._back.clear()

    def _catch_up(self) -> None:
        """Have the store's server told what it missed, once it is back."""
        for run in self._recorder.catch_up():
            self._not_after = time.monotonic() + RETURN_SECONDS
            self._recorder.progress.update([run])
            if run.state.status is not None:
                self._checkpoints.discard(run.index)

    def _wait_for_server(self) -> bool:
        """Wait a little for a lost server that has to be told of runs; return whether it has."""
        lost = self._recorder.lost
        if lost is None:
            return False
        self._not_after = self._not_after or time.monotonic() + RETURN_SECONDS
        if time.monotonic() > self._not_after:
            raise lost
        time.sleep(WAIT_SECONDS)
        self._recorder.progress.update(self._runs)
        return True

    def _record_run(self, run: Run, position: int, result: SegmentResult) -> None:
        state = result.state
        curve = Curve.of(result.history, position)
        diverged_at = int(state.diverged_at[position])
        if diverged_at < 0 and run.job.config.epochs > state.epoch:
            self._recorder.extend(run, state.epoch, curve)
            return
        if result.final is not None:
            curve = curve.then(Curve.of(result.final, position))
        final = state.params.select(np.array([position]))
        self._recorder.finish(run, state.epoch, curve, final, diverged_at=diverged_at)

    def _retry_or_fail(self, stack: Stack, error: BaseException) -> None:
        """Retry after a worker's death; split a stack that fails, to find the run that raises."""
        if self._workers.lost_worker(error):
            stack.worker_deaths += 1
            if stack.worker_deaths < MAX_WORKER_DEATHS:
                self._waiting.appendleft(stack)
                return
            error = MemoryError(
                f"{MAX_WORKER_DEATHS} workers died while they trained it: killed, or out of "
                f"memory ({error})"
            )
        if len(stack.runs) > 1:
            self._waiting.extendleft(
                replace(single, worker_deaths=min(stack.worker_deaths, 1))
                for single in stack.split()
            )
            return
        (run,) = stack.runs
        self._recorder.start([run])
        self._recorder.break_off(run, error)
        self._failed = True

    def _prune(self) -> None:
        """Once all runs are at a rung, end those that do badly, and stack the others again."""
        assert self._halving is not None
        rung = min(stack.runs[0].state.epoch for stack in self._at_rung)
        here = [stack for stack in self._at_rung if stack.runs[0].state.epoch == rung]
        self._at_rung = [stack for stack in self._at_rung if stack.runs[0].state.epoch != rung]
        rows = {
            run.index: (stack, position, Curve.of(row, position))
            for stack in here
            for row in [measure(stack.load(self._checkpoints), stack.training)]
            for position, run in enumerate(stack.runs)
        }
        accuracy = {index: row.values["val/accuracy"][0] for index, (_, _, row) in rows.items()}
        past = sum(run.state.epoch > rung and run.state.outcome != "pruned" for run in self._runs)
        pruned = self._halving.dropped(rung, accuracy, past)
        for index, reason in pruned.items():
            stack, position, row = rows[index]
            run = stack.runs[position]
            final = stack.load(self._checkpoints).params.select(np.array([position]))
            self._recorder.start([run])
            self._recorder.finish(run, rung, row, final, pruned=reason)
            if not run.state.late:  # else its checkpoint, at the rung, leads here again
                self._checkpoints.discard(index)
        left = [run for stack in here for run in stack.runs if run.index not in pruned]
        self._waiting.extend(plan_stacks(left, self._workers.count, self._settings))
