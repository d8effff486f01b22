"""The words of a command line as Hydra's grammar reads them: texts in any language, paired fields.

Hydra reads a value as text only where its letters are ASCII and it has no ``= # ( ) ' , [ {``. A
field whose value is a text takes what was typed.
"""

import re
import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from nnlab.errors import ConfigError
from nnlab.jobs.hydra_errors import BELONGS_TO

PAIR_TAG = "zip:"  # before the name of a pairing, in the tags of the fields that it pairs
PAIRING = re.compile(r"([A-Za-z_]\w*)=zip\((.*)\)", re.DOTALL)
FUNCTION = re.compile(r"(choice|sort|shuffle)\((.*)\)", re.DOTALL)
RANGE = re.compile(r"(\d+)(?:\.\.\.?|…|-|:)(\d+)")  # of other languages
CALL = re.compile(r"([A-Za-z_][\w.]*)\(")
FUNCTIONS = (
    "choice", "range", "interval", "glob", "sort", "shuffle", "tag", "extend_list", "int", "float",
    "str", "bool", "json_str", "zip",
)  # fmt: skip
# Not read from the config's model, which takes NumPy to import: --help has no need of it.
TEXT_FIELDS = (
    "run_name", "derived_from", "tracking.uri", "tracking.experiment", "data.name", "data.dir",
    "data.path", "data.test_path", "data.cwd", "data.label_column", "hydra.launcher.address",
    "hydra.sweeper.storage", "hydra.sweeper.study_name",
)  # fmt: skip
LISTS_OF_TEXTS = ("data.drop_columns",)
CLOSING = {"(": ")", "[": "]", "{": "}"}


def hydra_words(words: Sequence[str], *, several: bool) -> list[str]:
    """Return words of a command line as Hydra reads them.

    Parameters
    ----------
    words : Sequence[str]
        As they were typed: overrides, flags.
    several : bool
        Whether they are those of a sweep, in which a comma separates values.

    Returns
    -------
    list of str
        Texts are quoted where Hydra needs it. ``name=zip(a=[…],b=[…])`` has become one word for
        each of its fields. A field that only some options of a group have, where the sweep chooses
        several, belongs to the jobs and not to the sweep as a whole.

    Raises
    ------
    ConfigError
        Where a pairing cannot be read, or a text has a comma and it is no sweep.
    """
    words = [word for typed in words for word in _unpaired(typed, several=several)]
    words = [_with_text(word, several=several) for word in words]
    if several:
        swept = {_field(word) for word in words if _is_sweep(word)}
        words = [_of_the_jobs(word, swept) for word in words]
    return words


def asks_for_several(words: Sequence[str]) -> bool:
    """Tell whether words ask for a sweep; a study is one without ``-m``."""
    return any(word in ("-m", "--multirun") or _field(word) == "experiment" for word in words)


def quoted(text: str) -> str:
    r"""Quote a text for Hydra: backslashes before a quote are doubled, as Hydra halves them.

    >>> quoted("it's")
    "'it\\'s'"
    """
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", text)
    return "'" + re.sub(r"(\\+)$", lambda match: match[1] * 2, escaped) + "'"


def text_of(value: str) -> str:
    """Return the text that was typed, with or without quotes for Hydra."""
    parsed = _parsed(f"field={value}")
    text = None if parsed is None else parsed.value()
    return text if isinstance(text, str) else value


def for_shell(word: str) -> str:
    """Quote a word for a shell, in double quotes where that is easier to read."""
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'


def _with_text(word: str, *, several: bool) -> str:
    """Quote what Hydra would not read as text in a word that sets a text.

    Raises
    ------
    ConfigError
        Where a comma separates values, and it is no sweep.
    """
    field, equals, value = word.partition("=")
    if field in LISTS_OF_TEXTS and value.startswith("[") and value.endswith("]"):
        return f"{field}=[{_texts(value[1:-1])}]"
    if not equals or _field(word) not in TEXT_FIELDS or not value:
        _refuse_other_languages(field, value)
        return word
    if not several and len(parts_of(value)) > 1 and _is_sweep(f"field={_texts(value)}"):
        raise ConfigError(
            f"{word} has several values: add -m to sweep over them; or, for one text with a comma, "
            f"give {for_shell(f'{field}={quoted(value)}')}."
        )
    return f"{field}={_texts(value)}"


def _refuse_other_languages(field: str, value: str) -> None:
    """Name Hydra's way for ranges and functions of other languages, which it cannot read.

    Raises
    ------
    ConfigError
        Where there is one.
    """
    if values := RANGE.fullmatch(value):
        last = int(values[2]) + 1
        raise ConfigError(
            f"{field}={value} is no range: add -m, and give '{field}=range({values[1]},{last})'."
        )
    function = CALL.match(value)
    if function and function[1] not in FUNCTIONS:
        raise ConfigError(
            f"{field}={value} calls {function[1]}, which is unknown: list the values, as in "
            f"{field}=VALUE,VALUE, or use range(BEGIN,END,STEP), choice(…), interval(…) or zip(…)."
        )


def _texts(value: str) -> str:
    """Quote the texts in a value: one, several between commas, or a function of them."""
    if function := FUNCTION.fullmatch(value):
        return f"{function[1]}({_texts(function[2])})"
    parts = parts_of(value)
    if len(parts) > 1:
        return ",".join(map(_texts, parts))
    parsed = _parsed(f"field={value}")
    if parsed is None:
        return quoted(value)
    is_text = parsed.is_sweep_override() or isinstance(parsed.value(), str | None)
    return value if is_text else quoted(value)


def _field(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _parsed(word: str) -> Override | None:
    """Let Hydra read a word; None where it cannot."""
    try:
        (parsed,) = OverridesParser.create().parse_overrides([word])
    except HydraException:
        return None
    return parsed


def _is_sweep(word: str) -> bool:
    if "=" not in word or word.startswith("-"):
        return False
    parsed = _parsed(word)
    return parsed is not None and parsed.is_sweep_override()


def _of_the_jobs(word: str, swept: set[str]) -> str:
    """Give a field that not all options of a group have to the jobs, where the options vary."""
    field, equals, value = word.partition("=")
    if not equals or field not in BELONGS_TO or field.partition(".")[0] not in swept:
        return word
    return word if field in swept else f"{field}=choice({value})"


def _unpaired(word: str, *, several: bool) -> list[str]:
    """Write ``name=zip(a=[1,2],b=[3,4])`` as words for ``a`` and for ``b``, tagged with the name.

    The form is the one that Hydra's developers have planned for a later version.
    """
    pairing = PAIRING.fullmatch(word)
    if pairing is None:
        return [word]
    if not several:
        raise ConfigError(f"{word} pairs the values of a sweep: add -m.")
    from nnlab.jobs.config import RunConfig

    name, inner = pairing.groups()
    members = [part.partition("=") for part in parts_of(inner)]
    fields = [field.strip() for field, _, _ in members]
    if name in RunConfig.model_fields:
        raise ConfigError(f"{word} needs a name of its own before zip: {name} is a field.")
    if len(set(fields)) < len(fields) or len(fields) < 2 or not all(e for _, e, _ in members):  # noqa: PLR2004
        raise ConfigError(
            f"{word} could not be read: zip pairs at least two fields, each with its values, as in "
            f"{name}=zip(lr=[0.1,0.5],epochs=[500,100])."
        )
    return [
        f"{field}=tag({quoted(PAIR_TAG + name)},{_values(field, value.strip())})"
        for field, (_, _, value) in zip(fields, members, strict=True)
    ]


def _values(field: str, value: str) -> str:
    """Write a list of values as Hydra's choice; ``choice(…)`` and ``range(…)`` stay."""
    choice = f"choice({value[1:-1]})" if value.startswith("[") and value.endswith("]") else value
    return _with_text(f"{field}={choice}", several=True).partition("=")[2]


def parts_of(value: str) -> list[str]:
    """Split a value at the commas that are outside brackets and quotes.

    >>> parts_of("a(1,2),'b,c',d")
    ['a(1,2)', "'b,c'", 'd']
    """
    parts, expected, quote = [""], "", ""
    for place, letter in enumerate(value):
        if letter == "," and not expected and not quote:
            parts.append("")
            continue
        parts[-1] += letter
        if quote:
            quote = "" if letter == quote and value[place - 1] != "\\" else quote
        elif letter in "'\"" and not parts[-1][:-1].strip():  # an apostrophe within is none
            quote = letter
        elif letter in CLOSING:
            expected += CLOSING[letter]
        elif expected.endswith(letter):
            expected = expected[:-1]
    return [part.strip() for part in parts]
