"""How sentences count and list things."""

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """Write a number of things: ``1 seed``, ``5 seeds``, ``1,000 seeds``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def listed(words: Sequence[str]) -> str:
    """Write words as a sentence has them: ``a``, ``a and b``, ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
