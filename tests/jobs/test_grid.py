"""Which runs a sweep's overrides ask for."""

from fractions import Fraction

import pytest

from nnlab.errors import ConfigError
from nnlab.jobs.compose import compose_grid


def jobs(*words):
    return [" ".join(job) for job in compose_grid(words).jobs]


def test_paired_fields_move_together_and_are_crossed_with_the_others():
    assert jobs("s=zip(lr=[0.1,0.5],epochs=[500,100])", "seed=range(0,2)") == [
        "lr=0.1 epochs=500 seed=0",
        "lr=0.1 epochs=500 seed=1",
        "lr=0.5 epochs=100 seed=0",
        "lr=0.5 epochs=100 seed=1",
    ]


def test_pairings_take_ranges_choices_options_of_groups_and_their_fields():
    assert jobs("s=zip(init=choice(normal,uniform), init.scale=[0.1,0.2], seed=range(3,5))") == [
        "init=normal init.scale=0.1 seed=3",
        "init=uniform init.scale=0.2 seed=4",
    ]
    assert len(jobs("a=zip(lr=[1,2],epochs=[3,4])", "b=zip(seed=[1,2],data.seed=[3,4])")) == 4


def test_a_later_override_of_a_paired_field_counts():
    assert jobs("s=zip(lr=[1,2],epochs=[3,4])", "lr=5") == ["lr=5 epochs=3", "lr=5 epochs=4"]


def test_pairs_of_unequal_lengths_are_refused_with_their_lengths():
    with pytest.raises(ConfigError, match=r"s=zip\(…\) needs equally many .* it has 2 and 3"):
        jobs("s=zip(lr=[1,2],epochs=[3,4,5])")


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [("0.1", "0.5", "0.1"), ("0", "1", "0.1"), ("1", "0", "-0.3"), ("0.05", "2", "0.05"),
     ("0", "1", "0.25"), ("1", "1", "0.5"), ("1e-3", "5e-3", "1e-3"), ("3", "5", "1")],
)  # fmt: skip
def test_a_range_holds_the_numbers_that_would_be_typed(start, stop, step):
    first, last, by = map(Fraction, (start, stop, step))
    numbers = [first + by * place for place in range(1000)]
    grid = compose_grid(["init=normal", f"init.shift=range({start},{stop},{step})"])
    assert [config.init.shift for config in grid.configs] == [
        float(number) for number in numbers if (last - number) / by > 0
    ]


def test_equal_configs_are_asked_for_once_and_it_is_said():
    grid = compose_grid(["lr=0.1,0.10,1e-1,0.2", "seed=0,1"])
    assert [" ".join(job) for job in grid.jobs] == [
        "lr=0.1 seed=0", "lr=0.1 seed=1", "lr=0.2 seed=0", "lr=0.2 seed=1",
    ]  # fmt: skip
    assert len(grid.configs) == 4
    assert grid.note == (
        "4 of the 8 runs asked for are equal to another, and are trained once; the first of these "
        "is lr=0.1 seed=0."
    )
    assert compose_grid(["run_name=a,b"]).note is None


def test_a_field_of_some_options_is_swept_beside_these_options():
    scales = [
        config.init.scale
        for config in compose_grid(["init=normal,uniform", "init.scale=2"]).configs
    ]
    assert scales == [2, 2]


def test_data_files_of_one_name_are_told_apart_by_what_was_typed():
    configs = compose_grid(["data=file", "data.path=a/1.csv,b/1.csv,c/2.csv"]).configs
    assert [config.data.name for config in configs] == ["a/1.csv", "b/1.csv", "2"]
    assert [compose_grid(["data=file", "data.path=a/1.csv"]).configs[0].data.name] == ["1"]
