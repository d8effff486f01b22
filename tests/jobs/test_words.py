"""Texts in any language are typed as they are, and paired fields move together."""

import shlex
from typing import get_args

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from pydantic import BaseModel

from nnlab.errors import ConfigError
from nnlab.jobs.config import RunConfig
from nnlab.jobs.words import TEXT_FIELDS, hydra_words, text_of


def read(word, *, several=False):
    """Return the value, or the values, that Hydra reads in a word."""
    (word,) = hydra_words([word], several=several)
    (parsed,) = OverridesParser.create().parse_overrides([word])
    if not parsed.is_sweep_override():
        return parsed.value()
    return [getattr(each, "text", each) for each in parsed.sweep_iterator()]


@pytest.mark.parametrize(
    "text",
    [
        "李明", "Müller", "🙂", "a=b", "a#b", "a?b", "(x)", "[x]", "{a:b}", "it's", 'so "it"',
        "50%", "2024", "1e3", "true", "inf", "a  b", "/home/jörg/my data (1)/t=2.csv", "~/x",
        r"C:\Users\Zoë\x.csv", "sqlite:///a#b(1).db", "postgresql://u:p#x@h/db?a='b'", "'", "a(b",
    ],
)  # fmt: skip
def test_a_field_of_text_takes_what_was_typed(text):
    for several in (False, True):
        assert read(f"run_name={text}", several=several) == text
        assert read(f"data.path={text}", several=several) == text


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("null", None),
        ("'it is'", "it is"),
        ('"ä, b"', "ä, b"),
        ("plain", "plain"),
        ("seed-${seed}", "seed-${seed}"),
        ("", ""),
    ],
)
def test_what_hydra_reads_as_text_stays_as_it_is(typed, value):
    assert hydra_words([f"run_name={typed}"], several=False) == [f"run_name={typed}"]
    assert read(f"run_name={typed}") == value


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("a(1).csv,b(2).csv", ["a(1).csv", "b(2).csv"]),
        ("ä.csv,'b, c.csv'", ["ä.csv", "b, c.csv"]),
        ("choice(ä,ö)", ["ä", "ö"]),
        ("2023,2024", ["2023", "2024"]),
    ],
)
def test_in_a_sweep_a_comma_separates_texts(typed, values):
    assert read(f"data.path={typed}", several=True) == values


def test_a_list_of_texts_takes_any_letters():
    assert read("data.drop_columns=[id,Größe]") == ["id", "Größe"]


@pytest.mark.parametrize("text", ["a, b", "Müller, Hans", "it's a, b", "a $x, b"])
def test_a_comma_in_a_text_is_answered_with_the_quoting_that_works(text):
    with pytest.raises(ConfigError, match="has several values: add -m to sweep over them") as error:
        hydra_words([f"run_name={text}"], several=False)
    (word,) = shlex.split(str(error.value).partition("give ")[2].removesuffix("."))
    assert read(word) == text


@pytest.mark.parametrize("typed", ["ä b.csv", "'ä b.csv'", '"ä b.csv"'])
def test_where_hydra_does_not_read_a_text_its_quotes_may_stay_all_the_same(typed):
    assert text_of(typed) == "ä b.csv"


def test_numbers_flags_and_unknown_fields_are_left_to_hydra():
    words = ["-m", "lr=0.1,0.5", "seed=range(0,3)", "nonsense=ä", "--config-from=last", "~pictures"]
    assert hydra_words(words, several=True) == words


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("s=zip(lr=[0.1,0.5])", "zip pairs at least two fields"),
        ("s=zip(lr=[1,2],lr=[3,4])", "zip pairs at least two fields"),
        ("s=zip([1,2],[3,4])", "zip pairs at least two fields"),
        ("lr=zip(lr=[1,2],epochs=[3,4])", "needs a name of its own before zip: lr is a field"),
    ],
)
def test_a_pairing_that_cannot_be_read_is_answered_with_one_that_can(word, sentence):
    with pytest.raises(ConfigError, match=sentence):
        hydra_words([word], several=True)
    with pytest.raises(ConfigError, match="pairs the values of a sweep: add -m"):
        hydra_words([word], several=False)


def test_the_fields_of_text_are_those_that_the_config_declares():
    def texts(model, prefix=""):
        for name, declared in model.model_fields.items():
            kind = declared.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from texts(kind, f"{prefix}{name}.")
            elif str in (kind, *get_args(kind)):
                yield prefix + name

    ours = {field for field in TEXT_FIELDS if not field.startswith("hydra.")}
    assert ours == set(texts(RunConfig))
