"""Whether all text of a figure can be read."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text


def texts(figure: Figure) -> list[Text]:
    """All texts that are drawn; ticks outside of an axis' limits are not."""
    figure.draw_without_rendering()
    candidates: list[Text] = list(figure.texts)
    for axes in figure.axes:
        titles = [axes.title, axes._left_title, axes._right_title]
        candidates += [*titles, *axes.texts]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
                candidates += [axis.label]
                candidates += [text for tick in ticks for text in (tick.label1, tick.label2)]
    return [text for text in candidates if text.get_text() and text.get_visible()]


def words(figure: Figure) -> str:
    """All that is written in a figure, a text on each line."""
    return "\n".join(text.get_text() for text in texts(figure))


def assert_legible(figure: Figure) -> None:
    """Check that no two texts overlap, none leaves the page, and none is small."""
    drawn = texts(figure)
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn]
    x0, y0, x1, y1 = np.array([box.extents for _, box in boxes]).T[:, :, None]
    width = np.minimum(x1, x1.T) - np.maximum(x0, x0.T)
    height = np.minimum(y1, y1.T) - np.maximum(y0, y0.T)
    overlaps = np.argwhere(np.triu(np.minimum(width, height) > 1.5, k=1))  # pixels
    slanted = [text.get_rotation() % 90 > 0 for text in drawn]  # may have boxes that overlap
    touching = [(boxes[i][0], boxes[j][0]) for i, j in overlaps if not (slanted[i] and slanted[j])]
    assert not touching, f"these overlap: {touching}"
    for text, box in boxes:
        assert box.x0 >= 0, f"{text!r} leaves the page"
        assert box.y0 >= 0, f"{text!r} leaves the page"
        assert box.x1 <= figure.bbox.x1, f"{text!r} leaves the page"
        assert box.y1 <= figure.bbox.y1, f"{text!r} leaves the page"
    assert min(float(text.get_fontsize()) for text in drawn) >= 10
