"""How numbers, settings and Markdown tables are written, for all tables and sentences."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnlab.safe_text import spreadsheet_cell

if TYPE_CHECKING:
    import pandas as pd

DIGEST = re.compile("[0-9a-f]{64}")  # of which the beginning is shown

RUN_IDS = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b")
NO_DIFFERENCE = 1e-12  # below it, a difference is rounding

UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
METRIC_NAMES = {
    "late_val_accuracy": "late validation accuracy",
    "final_val_accuracy": "final validation accuracy",
    "test/accuracy": "test accuracy",
}


def number(value: float | None, sign: str = "", missing: str = "-") -> str:
    """Write a result: to four decimals, or to five digits from 10 on.

    Parameters
    ----------
    value : float or None
    sign : str
        ``+`` writes the sign of positive numbers too.
    missing : str
        Returned for None and NaN.
    """
    if value is None or math.isnan(value):
        return missing
    return f"{value:{sign}.4f}" if abs(value) < 10 else f"{value:{sign}.5g}"  # noqa: PLR2004


def difference_text(value: float | None, sign: str = "") -> str:
    """Write a difference as ``number`` does; to two digits if that would be 0.0000."""
    small = value is not None and NO_DIFFERENCE <= abs(value) < 0.00005  # noqa: PLR2004
    return f"{value:{sign}.1e}" if small else number(value, sign)


def difference_interval(low: float | None, high: float | None, sign: str = "") -> str:
    """Write the interval of a difference; an empty text if there is none."""
    text = interval(low, high, sign)
    if not text.startswith("["):
        return text
    return f"[{difference_text(low, sign)}, {difference_text(high, sign)}]"


def interval(low: float | None, high: float | None, sign: str = "") -> str:
    """Write an interval; an empty text if there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, sign)}, {number(high, sign)}]" if low != high else "all equal"


def span(epochs: Collection[int]) -> str:
    """Write the first and the last of some epochs: ``20``, ``20 to 60``; nothing of none."""
    return " to ".join(map(str, sorted({min(epochs), max(epochs)}))) if epochs else ""


def stopped_text(accuracy: float, epochs: str) -> str:
    """Write an accuracy and the ``span`` of epochs where it was measured."""
    return f"{number(accuracy)} at epoch{'s' * (' ' in epochs)} {epochs}"


def size_text(size: int) -> str:
    """Write a number of bytes: ``14.2 MB``."""
    unit, name = next((each for each in UNITS if size >= each[0]), (1, "B"))
    return f"{size / unit:.3g} {name}"


def metric_name(metric: str) -> str:
    """Return a metric's name as it is said in a sentence."""
    return METRIC_NAMES.get(metric, metric.replace("_", " ").replace("/", " "))


def written(value: object) -> str:
    """Write the value of a parameter as briefly as it can be typed."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text[:8] if DIGEST.fullmatch(text) else text


def brief(selection: str) -> str:
    """Write the ids in a selection by their beginnings."""
    return RUN_IDS.sub(r"\1", selection)


def short(field: str) -> str:
    """Return the name under which a field is typed: ``init`` for ``init.name``."""
    return field.removesuffix(".name")


def settings_text(settings: Mapping[str, object]) -> str:
    """Write settings as they are typed: ``init=he lr=0.5``."""
    return " ".join(f"{short(field)}={written(value)}" for field, value in settings.items())


def markdown_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)
) -> str:
    """Write a table in Markdown.

    Parameters
    ----------
    titles : sequence of str
    rows : sequence of sequence of str
    left : collection of int
        The columns that are aligned to the left, counted from 0; the others are aligned to the
        right.
    """
    rule = ["---" if place in left else "---:" for place in range(len(titles))]
    lines = [titles, rule, *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def json_value(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Return a cell as JSON has it; numbers that are not finite become null."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_text(table: "pd.DataFrame") -> str:
    """Write a table as CSV for people: without its index, without anything that is a formula."""
    safe = table.map(spreadsheet_cell).rename(columns=spreadsheet_cell)
    return safe.to_csv(index=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
