"""Handles on recorded runs and sweeps: they hold an id, and read the rest when it is asked for."""

import csv
import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnlab.api.handle import Handle
from nnlab.api.host import as_guest
from nnlab.errors import NnlabError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from nnlab.analysis.report import Report
    from nnlab.arrays import Array
    from nnlab.plots.style import Figure


class Run(Handle):
    """A recorded run.

    ``nnlab.run`` and ``nnlab.get`` return it; it is not made by hand.
    """

    @property
    def outcome(self) -> str | None:
        """How it ended: learned, stalled, dead, diverged or pruned; None without a result."""
        return self._record.tags.get("outcome")

    @property
    def sweep(self) -> "Sweep | None":
        """The sweep that made it; None for a single run."""
        parent = self._record.parent
        return None if parent is None else Sweep(parent, self.uri)

    @as_guest
    def history(self) -> "pd.DataFrame":
        """Return the metrics by epoch.

        Returns
        -------
        DataFrame
            A row an epoch, from 0, which is before the first step; a column a metric, such as
            ``val/accuracy``. Losses are in nats.
        """
        import pandas as pd

        from nnlab.tracking.readers import open_reader
        from nnlab.training.history import METRICS

        reader = open_reader(self.uri)
        text = reader.read_file(self.id, "history.csv")
        if text is not None:
            head, *rows = csv.reader(io.StringIO(text))
            epochs = pd.Index([int(row[0]) for row in rows], name=head[0])
            values = [[float(cell or "nan") for cell in row[1:]] for row in rows]  # to the last bit
            return pd.DataFrame(values, epochs, head[1:], dtype=float)
        curves = reader.curves([self.id], METRICS)  # it has not ended yet
        return curves.drop(columns="run_id").set_index("epoch")

    @as_guest
    def weights(self, *, initial: bool = False) -> "dict[str, Array]":
        """Return the weights, checked against the digest that was recorded.

        Parameters
        ----------
        initial : bool
            Those before the first step, instead of the final ones.

        Returns
        -------
        dict of str to array
            In the notes' names and shapes: ``W1 (hidden, pixels)``, ``b1 (hidden, 1)``,
            ``W2 (classes, hidden)``, ``b2 (classes, 1)``.

        Raises
        ------
        NnlabError
            Where it has none yet, or they were lost or changed.
        """
        from nnlab.tracking.artifacts import INITIAL, in_notes_shapes, read_weights
        from nnlab.tracking.predictions import recorded_weights

        store = self._store()
        params = recorded_weights(store, self._record)
        if initial:
            params = read_weights(store.download(self.id, INITIAL).parent, INITIAL)
        return in_notes_shapes(params)

    @as_guest
    def predict(
        self,
        images: "ArrayLike | PathLike[str] | Sequence[PathLike[str]]",
        *,
        invert: bool = False,
    ) -> "NDArray[np.int64]":
        """Classify images by the final weights.

        Parameters
        ----------
        images : array, path or sequence of paths
            ``(images, pixels)``, ``(images, rows, columns)``, or ``(rows, columns)`` of one: whole
            numbers from 0 to 255, or floats from 0 to 1. Or files, as ``nnlab predict`` takes them.
        invert : bool
            Whether they are black on white, not as MNIST's.

        Returns
        -------
        array of int64, (images,)
            The class of each.

        Raises
        ------
        NnlabError
            Where the images do not fit, or the run has no weights that predict anything.
        """
        import numpy as np

        from nnlab.data.images import array_images, load_images
        from nnlab.tracking.predictions import classify, predicting_weights

        params = predicting_weights(self._store(), self._record)
        paths = _paths(images)
        pixels = params.w1.shape[2]
        loaded = load_images(paths, pixels) if paths else array_images(np.asarray(images), pixels)
        labels, _ = classify(params, loaded, invert=invert)
        return labels

    @as_guest
    def figure(self, name: str = "curves") -> "Figure":
        """Draw one of the run's figures.

        Parameters
        ----------
        name : str
            ``curves``, ``confusion``, ``filters``, ``mistakes``, or ``snapshots`` where there are
            some.

        Raises
        ------
        NnlabError
            Where there is no such figure, or the run has no result.
        """
        from nnlab.execution.missing_figures import recorded_figure

        return recorded_figure(self._store(), self._record, name)

    def _stated(self) -> str:
        return self.outcome or super()._stated()

    @as_guest
    def _repr_html_(self) -> str:
        from nnlab.api.display import page, summaries

        return page(
            self.name, {"run": self.id[:8], "outcome": self._stated(), **summaries(self.metrics)}
        )


class Sweep(Handle):
    """A recorded sweep, or a stability study.

    ``nnlab.sweep`` and ``nnlab.get`` return it; it is not made by hand.
    """

    @as_guest
    def runs(self, where: str | None = None) -> "pd.DataFrame":
        """Return the runs of the sweep as a table; see ``nnlab.runs``."""
        from nnlab.api.tables import runs_table

        return runs_table([self.id], where, self.uri)

    @as_guest
    def compare(
        self,
        by: str | Sequence[str] | None = None,
        *,
        metric: str | None = None,
        where: str | None = None,
    ) -> "pd.DataFrame":
        """Compare the configurations over their seeds; see ``nnlab.compare``."""
        from nnlab.api.tables import comparison_table

        return comparison_table([self.id], by, metric, where, self.uri)

    @as_guest
    def importance(self, *, metric: str | None = None, where: str | None = None) -> "pd.DataFrame":
        """Return what each hyper-parameter explains of a metric, on a full grid.

        Parameters
        ----------
        metric : str or None
            None for ``late_val_accuracy``.
        where : str or None
            A condition on runs, as in ``nnlab.runs``.

        Returns
        -------
        DataFrame
            ``cause``, ``df``, ``sum_of_squares``, ``eta_squared``, ``omega_squared``.
        """
        from nnlab.analysis.comparison_output import comparison

        return comparison([self.id], uri=self.uri, metric=metric, where=where, by_importance=True)

    @as_guest
    def best(self, metric: str | None = None) -> Run:
        """Return the best run.

        Parameters
        ----------
        metric : str or None
            None for ``late_val_accuracy``. Of a loss, the lowest is the best.

        Raises
        ------
        NnlabError
            Where no run has a result, or there is no such metric.
        """
        from nnlab.api.tables import best_run

        return Run(best_run(self.id, metric, self.uri), self.uri)

    @as_guest
    def figure(self, name: str = "curves", *, metric: str | None = None) -> "Figure":
        """Draw one of the sweep's figures.

        Parameters
        ----------
        name : str
            Such as ``phase``, ``rates``, ``curves``, ``units`` or ``filters``; which figures there
            are depends on what the sweep varies.
        metric : str or None
            What runs are judged by; None for ``late_val_accuracy``.

        Raises
        ------
        NnlabError
            Where there is no such figure, with the names of those that there are.
        """
        from nnlab.analysis.report import sweep_figure

        return sweep_figure(self.id, name, self.uri, metric)

    @as_guest
    def report(
        self, out: str | PathLike[str] | None = None, *, metric: str | None = None
    ) -> "Report":
        """Write the sweep's report, as ``nnlab report`` does.

        Parameters
        ----------
        out : path or None
            The folder; None for ``experiments/NAME``.
        metric : str or None
            What to judge by; None for ``late_val_accuracy``.

        Returns
        -------
        Report
            ``folder``, with README.md, figures and tables; ``page``, which needs no other file.
        """
        from nnlab.analysis.report import report

        return report(self.id, self.uri, metric, None if out is None else Path(out))

    @as_guest
    def _repr_html_(self) -> str:
        from nnlab.api.display import comparison_html, page

        lines = {"sweep": self.id[:8], "status": self._stated()}
        try:
            return page(self.name, lines) + comparison_html(self.compare())
        except NnlabError as error:  # no run has a result yet, say
            return page(self.name, {**lines, "results": str(error)})


def _paths(images: Any) -> list[Path]:  # noqa: ANN401 - arrays too
    """Return the files that are meant; none for an array."""
    if isinstance(images, str | PathLike):
        return [Path(images)]
    if not isinstance(images, Sequence):
        return []
    return [Path(each) for each in images if isinstance(each, str | PathLike)]
