"""Training as a pure function: ``train_segment(state, data, epochs) -> (state, history)``.

A state is a stack of runs; a long training is several segments, one after the other. A run's
weights are the same bits whether it trains alone or in any stack, in one segment or in many, with
any number of threads. That rests on four rules:

- the order of summation is fixed: each panel of samples is computed by one thread, with one BLAS
  thread, and the panels' results are added in the panels' order;
- runs share a product only where a probe shows that it leaves their bits alone
  (``row_layout.stacks_exactly``);
- everything else works on each run separately;
- what is random (the order of mini-batches) is derived from a seed and the epoch, never from
  what was drawn before.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import snapshots
from nnlab.training.full_batch import Mapper, block_mapper, full_gradient, scores
from nnlab.training.history import CURVES, LAYERS, METRICS, History, Scores, Snapshots
from nnlab.training.minibatches import mini_batches
from nnlab.training.network import Params, update
from nnlab.training.norms import layer_norms, relative_change
from nnlab.training.sharpness import observe
from nnlab.training.training_data import TrainingData


@dataclass(frozen=True)
class State:
    """A stack of runs in training.

    Attributes
    ----------
    params : Params
        Of a run that diverged, those of the last epoch at which all of them were finite.
    lr : Array
        Learning rates, (runs,), in the parameters' dtype.
    epoch : int
        How often the runs have been trained on the whole training set.
    diverged_at : NDArray[np.int64]
        The first epoch at which a loss or a weight was not finite, (runs,); -1 for a run that has
        not diverged.
    directions : Array or None
        Where the last measurement of the sharpness found its direction, (runs, parameters): a
        segment goes on from there, so that its values are those of one long segment. None before
        the first one.
    """

    params: Params
    lr: Array
    epoch: int
    diverged_at: NDArray[np.int64]
    directions: Array | None = None

    @classmethod
    def start(cls, params: Params, lr: Iterable[float]) -> "State":
        """Return the untrained stack."""
        with np.errstate(over="ignore"):  # a rate beyond float32 diverges, as it should
            rates = np.array(list(lr), params.w1.dtype)
        return cls(params, rates, 0, np.full(len(rates), -1))

    @property
    def runs(self) -> int:
        """Number of runs in the stack."""
        return len(self.lr)

    def select(self, runs: Array) -> "State":
        """Return a stack of the runs that a boolean mask or an index array picks."""
        directions = None if self.directions is None else self.directions[runs]
        return State(
            self.params.select(runs), self.lr[runs], self.epoch, self.diverged_at[runs], directions
        )


def train_segment(
    state: State, data: TrainingData, epochs: int, *, threads: int = 1,
    sharpness_every: int | None = None, snapshot_epochs: Collection[int] = (),
) -> tuple[State, History]:  # fmt: skip
    """Train every run of a stack that has not diverged for some more epochs.

    Parameters
    ----------
    state : State
        Not changed.
    data : TrainingData
    epochs : int
        How many, which is also the number of the history's rows.
    threads : int
        Threads over panels; the result does not depend on it.
    sharpness_every : int or None
        Epochs between two measurements of the sharpness, counted from epoch 0; None measures none.
        The weights do not depend on it.
    snapshot_epochs : collection of int
        Epochs at which a snapshot is taken, see ``training.snapshots``. The weights do not depend
        on them.

    Returns
    -------
    State
        ``epochs`` later. A run that diverged keeps its last finite parameters.
    History
        From ``state.epoch`` to the epoch before the new state's.
    """
    rows = np.arange(state.epoch, state.epoch + epochs)
    names = METRICS if sharpness_every is None else CURVES
    values = {name: np.full((state.runs, epochs), np.nan) for name in names}
    taken: Snapshots = {}
    directions = state.directions
    params, diverged_at = state.params, state.diverged_at.copy()
    alive = np.flatnonzero(diverged_at < 0)
    living = params.select(alive)
    final = Params(*(array.copy() for array in params))

    # A diverging run overflows; what is not finite is looked for below.
    with np.errstate(over="ignore", invalid="ignore"), block_mapper(threads) as mapper:
        for row, epoch in enumerate(rows):
            if alive.size == 0:
                break
            stepped, record = _epoch(living, state.lr[alive], data, int(epoch), mapper)
            if sharpness_every is not None and epoch % sharpness_every == 0:
                observed, directions = _observed(
                    living, directions, alive, data, mapper, state.runs
                )
                record |= observed
            if epoch in snapshot_epochs:
                taken[int(epoch)] = _snapshot(living, alive, data, mapper, state.runs)
            for name, measured in record.items():
                values[name][alive, row] = measured

            finite_now = np.isfinite(record["train/loss"] + record["val/loss"])
            finite_next = finite_now & _finite(stepped)
            if finite_next.all():
                living = stepped
                continue
            diverged_at[alive[~finite_next]] = epoch + 1
            diverged_at[alive[~finite_now]] = epoch
            _put(final, alive[~finite_next], living.select(~finite_next))
            alive, living = alive[finite_next], stepped.select(finite_next)

    _put(final, alive, living)
    end = State(final, state.lr, state.epoch + epochs, diverged_at, directions)
    return end, History(rows, values, taken)


def measure(
    state: State, data: TrainingData, *, threads: int = 1, sharpness: bool = False,
    snapshot: bool = False,
) -> History:  # fmt: skip
    """Measure a stack as it stands, without training: the row at ``state.epoch``."""
    values = {name: np.full((state.runs, 1), np.nan) for name in (CURVES if sharpness else METRICS)}
    taken: Snapshots = {}
    alive = np.flatnonzero(state.diverged_at < 0)
    if alive.size:
        with block_mapper(threads) as mapper:
            params = state.params.select(alive)
            record = scores(params, data, mapper)
            if sharpness:
                record |= _observed(params, state.directions, alive, data, mapper, state.runs)[0]
            if snapshot:
                taken[state.epoch] = _snapshot(params, alive, data, mapper, state.runs)
        for name, measured in record.items():
            values[name][alive, 0] = measured
    return History(np.array([state.epoch]), values, taken)


def _epoch(
    params: Params, lr: Array, data: TrainingData, epoch: int, mapper: Mapper
) -> tuple[Params, Scores]:
    """Go once through the training samples; measure the parameters as they were before."""
    if data.batches is None:
        record, gradients = full_gradient(params, data, mapper)
        stepped = update(params, gradients, lr)
        grad_norms = layer_norms(gradients, data.arithmetic)
    else:
        record = scores(params, data, mapper)
        stepped, grad_norms = mini_batches(params, lr, data.batches, epoch)

    ratios = relative_change(params, stepped, data.arithmetic)
    for place, layer in enumerate(LAYERS):
        record[f"grad_norm/{layer}"] = grad_norms[:, place]
        record[f"update_ratio/{layer}"] = ratios[:, place]
    return stepped, record


def _observed(
    params: Params, directions: Array | None, alive: Array, data: TrainingData, mapper: Mapper,
    runs: int,
) -> tuple[Scores, Array]:  # fmt: skip
    """Measure the sharpness of the runs that are alive; return the directions of all."""
    warm = None if directions is None else directions[alive]
    record, found = observe(params, warm, data, mapper)
    directions = np.zeros((runs, found.shape[1])) if directions is None else directions.copy()
    directions[alive] = found
    return record, directions


def _snapshot(
    params: Params, alive: Array, data: TrainingData, mapper: Mapper, runs: int
) -> NDArray[np.int64]:
    """Take a snapshot of the runs that are alive; those of the others are zeros."""
    taken = snapshots.observe(params, data.train_panels, mapper)
    whole = np.zeros((runs, *taken.shape[1:]), np.int64)
    whole[alive] = taken
    return whole


def _finite(params: Params) -> NDArray[np.bool_]:
    """Tell which runs have only finite parameters."""
    return np.asarray(np.all([np.isfinite(array).all(axis=(1, 2)) for array in params], axis=0))


def _put(target: Params, runs: Array, source: Params) -> None:
    for into, array in zip(target, source, strict=True):
        into[runs] = array
