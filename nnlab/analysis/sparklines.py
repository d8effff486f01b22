"""Curves as a line of text."""

from collections.abc import Sequence

import numpy as np

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-~=+*#"  # where the terminal has no others
WIDTH = 20  # characters


def sparkline(values: Sequence[float], encoding: str = "utf-8") -> str:
    """Draw values over equal steps, from the lowest to the highest of them.

    Parameters
    ----------
    values : sequence of float
        Those that are not finite are left out. Where there are more than 20, each character stands
        for the mean of some.
    encoding : str
        Of the terminal.
    """
    finite = np.array([value for value in values if np.isfinite(value)])
    if not finite.size:
        return ""
    try:
        BLOCKS.encode(encoding)
        levels = BLOCKS
    except (UnicodeEncodeError, LookupError):
        levels = PLAIN
    means = np.array([part.mean() for part in np.array_split(finite, min(WIDTH, finite.size))])
    low, high = means.min(), means.max()
    share = (means - low) / (high - low) if high > low else np.zeros(means.size)
    return "".join(levels[int(place)] for place in np.round(share * (len(levels) - 1)))
