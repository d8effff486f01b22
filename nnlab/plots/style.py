"""What all figures share: page size, palette, fonts, number format, and how a figure is saved.

Figures are made with matplotlib's objects, never with pyplot: no global list of open figures and
no window system. The style is matplotlib's defaults plus ``STYLE``, whatever the user's
``matplotlibrc`` says, so that a figure depends on the run alone.
"""

import io
import math
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Figure  # for the annotations of other packages  # noqa: PLC0414
from matplotlib.text import Text

from nnlab.safe_text import printable

P = ParamSpec("P")
T = TypeVar("T")

WIDTH, HEIGHT = 12.8, 7.2  # inches: a slide of 16:9
MARGIN = 0.4  # inches
DPI = 150  # 1920 × 1080
NAME_CHARACTERS = 108  # on one line of the page
SMALL, TEXT, LARGE = 11.0, 13.0, 17.0  # font sizes in points

# Okabe & Ito, "Color universal design": distinct for all common kinds of colour vision.
# Their purple is darkened, since it colours text.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4A8C"
INK, GREY, PALE = "#222222", "#666666", "#E6E6E6"

# For letters that DejaVu Sans lacks, the first that the machine has: Linux, macOS, Windows.
OTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Unifont",
    "PingFang SC", "Hiragino Sans", "Arial Unicode MS", "Microsoft YaHei", "Malgun Gothic",
)  # fmt: skip

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
    "axes.titley": 1.0,  # fixed: looking for a free height takes a fifth of the drawing time
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
# All of matplotlib's settings but the backend, which is the user's choice.
SETTINGS: dict[Any, Any] = {
    **{key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")},
    **STYLE,
}
_LOCK = threading.RLock()  # matplotlib's settings belong to the process, not to the thread


class Page(Figure):
    """A figure that a notebook shows where it is the value of a cell."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        save(self, buffer)
        return buffer.getvalue()


def in_shared_style(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a drawing function: it runs under ``SETTINGS``, one thread at a time."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with _LOCK, mpl.rc_context(SETTINGS):
            return function(*args, **kwargs)

    return wrapper


def new_figure(title: str, name: str, facts: str) -> tuple[Figure, float]:
    """Return a white page with a title and two lines below it.

    Parameters
    ----------
    title : str
        What is drawn, in words.
    name : str
        Of the run or sweep; cut to one line.
    facts : str
        How many things are drawn, and what the marks mean.

    Returns
    -------
    figure : Figure
        The page, ``WIDTH`` × ``HEIGHT`` inches.
    top : float
        The height in inches below which the page is free.
    """
    figure = Page(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)  # measures text before anything is saved
    x, y = MARGIN, HEIGHT - 0.2
    figure.text(x / WIDTH, y / HEIGHT, title, size=LARGE, weight="bold", va="top")
    y -= 0.34
    if line := " ".join(name.split()):
        cut = f"{line[: NAME_CHARACTERS - 1]}…" if len(line) > NAME_CHARACTERS else line
        figure.text(x / WIDTH, y / HEIGHT, cut, va="top")
        y -= 0.27
    figure.text(x / WIDTH, y / HEIGHT, facts, color=GREY, va="top")
    return figure, y - 0.42


def write_message(figure: Figure, text: str) -> None:
    """Write a sentence in the middle of a page that has nothing to draw."""
    figure.text(0.5, 0.45, text, size=LARGE, color=GREY, ha="center", va="center")


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches: known margins need no layout engine, which is slow."""
    return figure.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))


def add_blank_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes without frame or ticks whose data coordinates are inches."""
    axes = add_axes(figure, left, bottom, width, height)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
    return axes


def format_number(value: float) -> str:
    """Write a number in few characters, with at most three significant digits.

    >>> [format_number(x) for x in (0.0, 2.3126, 1259.0, 41000.0, 1.25e30, 0.00004, float("nan"))]
    ['0', '2.31', '1260', '4.1e4', '1.2e30', '4e-5', 'nan']
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e4:  # noqa: PLR2004 - longer in digits than with an exponent
        return np.format_float_positional(value, precision=3, fractional=False, trim="-")
    return np.format_float_scientific(value, precision=1, exp_digits=1, trim="-").replace("+", "")


@in_shared_style
def save(figure: Figure, path: Path | io.BytesIO) -> None:
    """Write a PNG whose bytes depend on the figure alone: no date, no software version."""
    for text in figure.findobj(Text):
        _show_letters(text)
    figure.savefig(
        path,
        format="png",
        dpi=DPI,
        metadata={"Software": None},
        pil_kwargs={"compress_level": 3},  # half again as fast as the default, a fifth larger
    )


def _show_letters(text: Text) -> None:
    """Take fonts of this machine for letters that the style's font lacks; escape the others.

    Matplotlib would draw a box for them, and print a warning.
    """
    shown = printable(text.get_text())
    if not shown.isascii():
        letters = {letter for letter in shown if not letter.isspace()}
        families = ["DejaVu Sans"]
        letters -= _letters_of(families[0], letters)
        for family in OTHER_FONTS if letters else ():
            if has := _letters_of(family, letters):
                families.append(family)
                letters -= has
        for letter in letters:
            shown = shown.replace(letter, letter.encode("unicode_escape").decode())
        text.set_fontfamily(families)
    if shown != text.get_text():
        text.set_text(shown)


def _letters_of(family: str, letters: set[str]) -> set[str]:
    """Return those letters that a font has; none where the machine does not have the font."""
    try:
        path = font_manager.findfont(family, fallback_to_default=False)
    except ValueError:
        return set()
    font = font_manager.get_font(path)
    return {letter for letter in letters if font.get_char_index(ord(letter))}
