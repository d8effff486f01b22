"""Python values become the overrides that one would type."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nnlab.api.fields import RunFields, SweepFields
from nnlab.api.overrides import overrides_of
from nnlab.errors import ConfigError
from nnlab.jobs.config import RunConfig


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lr": 0.5, "epochs": 100}, ["lr=0.5", "epochs=100"]),
        ({"lr": np.float64(0.5), "seed": np.int64(3)}, ["lr=0.5", "seed=3"]),
        ({"data": "mnist"}, ["data=mnist"]),
        ({"batch_size": None, "model": True}, ["batch_size=null", "model=true"]),
        (
            {"init": {"name": "normal", "scale": 0.1}},
            ["init=normal", "init.scale=0.1"],
        ),
        ({"init": {"bias": "same"}}, ["init.bias=same"]),
        (
            {"data": {"source": "idx", "name": "fashion", "dir": Path("/data/fashion")}},
            ["data=idx", "data.name=fashion", "data.dir=/data/fashion"],
        ),
        ({"prune": {"rule": "halving", "rungs": [2, 6]}}, ["prune=halving", "prune.rungs=[2,6]"]),
        ({"tracking": {"experiment": "my runs"}}, ["tracking.experiment='my runs'"]),
    ],
)
def test_a_runs_fields_are_written_as_typed(fields, words):
    assert overrides_of(fields, several=False) == words


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.05, 0.1], "lr=0.05,0.1"),
        ((1, 2), "lr=1,2"),
        (range(5), "lr=range(0,5)"),
        (range(1, 12, 2), "lr=range(1,12,2)"),
        (range(11), "lr=range(0,11)"),
        (np.array([0.5, 1.0]), "lr=0.5,1.0"),
        (pd.Series([1, 2]), "lr=1,2"),
        ((rate for rate in (0.1, 0.2)), "lr=0.1,0.2"),
        (["he", "lecun"], "lr=he,lecun"),
        ([None, 64], "lr=null,64"),
        (0.1, "lr=0.1"),
    ],
)
def test_a_sweeps_values_are_written_as_typed(values, text):
    assert overrides_of({"lr": values}, several=True) == [text]


@pytest.mark.parametrize(
    "text",
    ["he", "a b", "1", "true", "null", "it's", "back\\slash", "end\\", "\\'", "a,b", "x=y", "[1]",
     "{a: b}", "", "-", "nan", "ünïcode", "a#b", "C:\\data\\it's\\"],
)  # fmt: skip
def test_any_text_arrives_in_hydra_as_it_is(text):
    (word,) = overrides_of({"run_name": text}, several=False)
    (parsed,) = OverridesParser.create().parse_overrides([word])
    value = parsed.value()
    assert (value if isinstance(value, str) else value.text) == text


def test_several_values_are_refused_for_a_run():
    with pytest.raises(ConfigError, match=r"^seed has several values: nnlab\.sweep"):
        overrides_of({"seed": range(3)}, several=False)


def test_a_list_of_sections_is_refused():
    with pytest.raises(ConfigError, match="a section such as init a mapping"):
        overrides_of({"init": [{"name": "he"}, {"name": "normal"}]}, several=True)


@pytest.mark.parametrize("declared", [RunFields, SweepFields])
def test_the_declared_fields_are_those_of_the_config_and_the_studies(declared):
    assert set(declared.__annotations__) == {*RunConfig.model_fields, "experiment"}
