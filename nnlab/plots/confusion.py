"""A confusion matrix with a colour scale for hits and one for errors, and the recall of classes."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nnlab.arrays import Array
from nnlab.plots.style import (
    BLUE,
    INK,
    PALE,
    SMALL,
    TEXT,
    VERMILLION,
    add_axes,
    in_shared_style,
    new_figure,
)
from nnlab.wording import counted

MAX_COUNTED = 20  # classes; with more, a cell can't hold its count
MAX_LISTED = 24  # classes; with more, lines of text would touch
# The palest tint differs from white, so that a single error shows.
HITS = LinearSegmentedColormap.from_list("hits", ["#EEF5FA", BLUE])
ERRORS = LinearSegmentedColormap.from_list("errors", ["#FFF0E2", VERMILLION])


@in_shared_style
def confusion_matrix(counts: Array, name: str) -> Figure:
    """Draw a confusion matrix.

    Hits and errors have a colour scale each: on a common one, a diagonal of 0.95 would leave all
    errors white.

    Parameters
    ----------
    counts : Array
        (classes, classes) integers; rows are the true classes, columns the predictions.
    name : str
        Of the run.
    """
    classes = len(counts)
    samples = counts.sum(axis=1)
    empty = samples == 0
    share = counts / np.maximum(samples, 1)[:, None]
    hit = np.eye(classes, dtype=bool)
    worst = share[~hit].max(initial=0.0)

    accuracy = f"{np.trace(counts) / counts.sum():.3f}" if counts.any() else "undefined"
    colours = "blue: hits, orange: errors" + (", grey: no samples" if empty.any() else "")
    figure, top = new_figure(
        "Which class is taken for which, on the validation images",
        name,
        f"accuracy {accuracy} on {counted(counts.sum(), 'sample')}  ·  {colours}",
    )
    bottom = 0.75
    height = top - bottom - 0.3
    axes = add_axes(figure, 1.0, bottom, 8.2, height)
    axes.imshow(np.ma.masked_where(~hit | empty, share), cmap=HITS, vmin=0, vmax=1, aspect="auto")
    errors = axes.imshow(
        np.ma.masked_where(hit | (counts == 0), share),
        cmap=ERRORS,
        vmin=0,
        vmax=worst or 0.01,
        aspect="auto",
    )
    for row in np.flatnonzero(empty):
        axes.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0)
    every = math.ceil(classes / MAX_LISTED)
    axes.set(xlabel="predicted", ylabel="truth")
    axes.set_xticks(range(0, classes, every))
    axes.set_yticks(range(0, classes, every))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    edges = np.arange(1, classes) - 0.5
    axes.grid(visible=False)
    axes.hlines(edges, -0.5, classes - 0.5, color=PALE, linewidth=0.6)
    axes.vlines(edges, -0.5, classes - 0.5, color=PALE, linewidth=0.6)
    if classes <= MAX_COUNTED:
        size = TEXT if classes <= 12 else 10.0  # noqa: PLR2004 - four digits still fit
        for row, column in np.argwhere(counts):
            dark = share[row, column] > 0.7 * (1 if row == column else worst)
            axes.text(
                column,
                row,
                _short_count(int(counts[row, column])),
                size=size,
                color="white" if dark else INK,
                ha="center",
                va="center",
            )

    _draw_recall(add_axes(figure, 9.4, bottom, 0.9, height), np.diag(share), empty)
    bar = add_axes(figure, 11.5, bottom, 0.2, height)
    figure.colorbar(errors, cax=bar, format=FuncFormatter(lambda x, _: f"{100 * x:.3g}%"))
    bar.set_ylabel("errors: share of the true class")
    bar.grid(visible=False)
    return figure


def _draw_recall(axes: Axes, recall: Array, empty: Array) -> None:
    """Draw the recall of each class as a bar; ``empty`` are the classes without samples."""
    classes = len(recall)
    axes.barh(range(classes), np.where(empty, 0, recall), color=BLUE, height=0.7)
    axes.set(xlim=(0, 1), ylim=(classes - 0.5, -0.5), xticks=(0, 1), yticks=(), title="recall")
    if classes <= MAX_LISTED:
        for row in range(classes):
            text = "none" if empty[row] else f"{recall[row]:.2f}"
            axes.text(1.08, row, text, size=SMALL, va="center")


def _short_count(count: int) -> str:
    """Write a count in at most four characters.

    >>> [_short_count(n) for n in (7, 9_999, 12_345, 6_400_000)]
    ['7', '9999', '12k', '6M']
    """
    if count < 10_000:  # noqa: PLR2004 - four digits
        return str(count)
    return f"{count // 10**3}k" if count < 10**6 else f"{count // 10**6}M"
