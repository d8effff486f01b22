"""The look that all pictures share: one page size, one palette, direct labels, the same bytes.

Pictures are made with matplotlib's objects, never with pyplot: no global list of open figures,
no window system. The style is matplotlib's own defaults plus ``STYLE``, whatever the user's
``matplotlibrc`` says, so that a picture depends on the run alone.
"""

import math
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from textwrap import wrap
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

P = ParamSpec("P")
T = TypeVar("T")

WIDTH, HEIGHT = 12.8, 7.2  # inches: a slide of 16:9
MARGIN = 0.4
DPI = 150  # 1920 × 1080
TITLE_CHARACTERS = 76  # of the title's size, on one line of the page
SMALL, TEXT, LARGE = 11.0, 13.0, 17.0  # points

# Okabe & Ito, "Color universal design": distinct for all common kinds of colour vision.
# Their purple is darkened, since it colours text.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4A8C"
INK, GREY, PALE = "#222222", "#666666", "#E6E6E6"

STYLE: dict[str, Any] = {
    "agg.path.chunksize": 10_000,  # a noisy curve of 50,000 epochs overflows Agg in one piece
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 14.0,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # fixed: looking for a free height costs a fifth of the drawing
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": TEXT,
    "grid.color": PALE,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "text.parse_math": False,  # a run's name may contain dollar signs
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 12.0,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 12.0,
}
# The backend is the user's business; the rest of matplotlib's defaults is the ground of STYLE.
SETTINGS: dict[Any, Any] = {
    **{key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")},
    **STYLE,
}
_LOCK = threading.RLock()  # matplotlib's settings belong to the process, not to the thread


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a drawing function under the shared style, one thread at a time."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with _LOCK, mpl.rc_context(SETTINGS):
            return function(*args, **kwargs)

    return wrapper


def page(title: str, subtitle: str) -> tuple[Figure, float]:
    """Start a white page with a header: a title of at most two lines, and below what is shown.

    Returns
    -------
    figure : Figure
    top : float
        The height in inches at which the header ends and the picture begins.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)  # measures text before anything is saved
    x, y = MARGIN, HEIGHT - 0.2
    for line in wrap(title, TITLE_CHARACTERS, max_lines=2, placeholder=" …"):
        figure.text(x / WIDTH, y / HEIGHT, line, size=LARGE, weight="bold", va="top")
        y -= 0.31
    figure.text(x / WIDTH, (y - 0.03) / HEIGHT, subtitle, color=GREY, va="top")
    return figure, y - 0.45


def sentence(figure: Figure, text: str) -> None:
    """Say what there is to say where there is nothing to draw."""
    figure.text(0.5, 0.45, text, size=LARGE, color=GREY, ha="center", va="center")


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches: known margins need no layout engine, which is slow."""
    return figure.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))


def blank_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes without frame or ticks whose data coordinates are inches."""
    axes = axes_at(figure, left, bottom, width, height)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
    return axes


def number(value: float) -> str:
    """Write a number briefly, in the width that a label has.

    >>> [number(x) for x in (0.0, 2.3126, 1259.0, 41000.0, 1.25e30, 0.00004, float("nan"))]
    ['0', '2.31', '1260', '4.1e4', '1.2e30', '4e-5', 'nan']
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e4:  # noqa: PLR2004 - longer in digits than with an exponent
        return np.format_float_positional(value, precision=3, fractional=False, trim="-")
    return np.format_float_scientific(value, precision=1, exp_digits=1, trim="-").replace("+", "")


def spread(wanted: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Move positions apart until neighbours are ``gap`` from each other, as little as possible.

    Least squares under ``p[i+1] − p[i] ≥ gap`` is an isotonic regression of ``p[i] − i · gap``,
    which pooling adjacent violators solves exactly.

    >>> spread([0.5, 0.5, 0.0], 0.2).tolist()
    [0.4, 0.6, 0.0]
    """
    order = np.argsort(wanted, kind="stable")
    pools: list[list[float]] = []
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap])
        while len(pools) > 1 and np.mean(pools[-2]) >= np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    placed = np.empty(len(wanted))
    level = [float(np.mean(pool)) for pool in pools for _ in pool]
    placed[order] = np.asarray(level) + gap * np.arange(len(wanted))
    return placed


def heights(axes: Axes, wanted: Sequence[float], size: float = TEXT) -> NDArray[np.float64]:
    """Return where labels at these values of y go, as parts of the axes' height, none on another.

    The axes' limits must be final. A value outside of them goes to the edge.
    """
    ends = axes.transData.transform([(axes.get_xlim()[1], y) for y in wanted])
    inside = np.clip(axes.transAxes.inverted().transform(ends)[:, 1], 0, 1)
    gap = 1.35 * size / (axes.get_position().height * HEIGHT * 72)  # points
    placed = spread(inside.tolist(), gap)
    rank = np.argsort(np.argsort(placed, kind="stable"), kind="stable")
    # Neighbours that are a gap apart remain so when each is held within the axes by its rank.
    placed = np.minimum(placed, 1 - (len(placed) - 1 - rank) * gap)
    return np.asarray(np.maximum(placed, rank * gap))


def end_labels(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write ``(y, text, colour)`` to the right of the axes, at the height y unless labels collide.

    The axes' limits must be final.
    """
    if not labels:
        return
    placed = heights(axes, [y for y, _, _ in labels])
    for y, (_, text, colour) in zip(placed, labels, strict=True):
        axes.annotate(
            text,
            (1, y),
            xycoords="axes fraction",
            xytext=(7, 0),
            textcoords="offset points",
            color=colour,
            weight="bold",
            va="center",
        )


@styled
def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone: no date, no software version."""
    figure.savefig(
        path,
        format="png",
        dpi=DPI,
        metadata={"Software": None},
        pil_kwargs={"compress_level": 3},  # half again as fast as the default, a fifth larger
    )
