"""How sentences count and list things."""

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """Write a number of things: ``1 seed``, ``5 seeds``, ``1,000 seeds``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def agreeing(count: int, one: str, several: str) -> str:
    """Return the form of a verb that goes with a number."""
    return one if count == 1 else several


def listed(words: Sequence[str]) -> str:
    """Write words as a sentence has them: ``a``, ``a and b``, ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
