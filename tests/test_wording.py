"""How sentences count."""

import pytest

from nnlab.wording import agreeing, counted


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "run", "0 runs"), (1, "run", "1 run"), (2, "run", "2 runs"),
        (1200, "common seed", "1,200 common seeds"), (1, "class", "1 class"),
        (10, "class", "10 classes"),
    ],
)  # fmt: skip
def test_one_is_one_and_all_else_is_several(count, noun, text):
    assert counted(count, noun) == text
    assert agreeing(count, "is", "are") == ("is" if count == 1 else "are")
