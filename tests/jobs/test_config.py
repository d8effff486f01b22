"""The config: which values are refused and how, and when two runs are the same run."""

import math

import pytest
import yaml
from support.configs import VALID, config

from nnlab.errors import ConfigError
from nnlab.jobs.config import CONFIG_SCHEMA, from_mapping, to_yaml


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": -1.0}, r"lr=-1\.0 is not allowed: lr must be a number above 0\."),
        ({"lr": 0}, "lr=0 is not allowed: lr must be a number above 0"),
        ({"lr": "fast"}, "lr=fast is not allowed: lr must be a number above 0"),
        ({"lr": float("nan")}, "lr=nan is not allowed"),
        ({"lr": float("inf")}, "lr=inf is not allowed"),
        ({"lr": True}, "lr=True is not allowed"),
        ({"lr": None}, "lr=null is not allowed"),
        ({"epochs": -1}, "epochs=-1 is not allowed: epochs must be a whole number, 0 or more"),
        ({"epochs": 1.5}, "epochs=1.5 is not allowed"),
        ({"hidden_size": 0}, "hidden_size=0 is not allowed: .* a whole number, 1 or more"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"batch_size": 0}, "batch_size=0 is not allowed: .* or null for the full batch"),
        ({"dtype": "float16"}, "dtype=float16 is not allowed: .* float32, float64 or exact"),
        (
            {"dtype": "exact", "sharpness": {"every": 5}},
            "sharpness.every=5 is not allowed with dtype=exact: the eigenvalue comes from LAPACK",
        ),
        ({"target_accuracy": 80}, "target_accuracy=80 is not allowed: .* above 0, up to 1"),
        ({"threads": 0}, "threads=0 is not allowed"),
        ({"init__name": "xavier"}, "init.name=xavier is not allowed: init.name must be one of"),
        ({"init__bias": "ones"}, "init.bias=ones is not allowed: init.bias must be zeros or same"),
        ({"init__scale": 2.0}, r"init.scale=2 is not allowed: init=he fixes it; use init"),
        ({"data__val_size": 0}, "data.val_size=0 is not allowed"),
        ({"data__source": "cifar"}, "data.source=cifar is not allowed: data.source must be one of"),
        ({"tracking__experiment": ""}, "tracking.experiment= is not allowed"),
        ({"learning_rate": 0.1}, "learning_rate is not a field of the config"),
        ({"init__variance": 1}, "init.variance is not a field of the config"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_found_and_what_is_allowed(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        config(**changes)


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(ConfigError, match=r"(?s)lr=-1.*epochs=-2"):
        config(lr=-1, epochs=-2)


def test_a_whole_number_may_be_written_as_a_float():
    floats = config(epochs=1e3, batch_size=64.0, data__val_size=2e2)
    assert floats == config(epochs=1000, batch_size=64, data__val_size=200)
    assert floats.params["epochs"] == "1000"
    with pytest.raises(ConfigError, match=r"^epochs=1.5 is not allowed: .*\nseed=-1 is"):
        config(epochs=1.5, batch_size=64.0, seed=-1.0)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("field", ["lr", "target_accuracy", "epochs", "init.scale"])
def test_a_number_that_is_not_finite_is_said_to_be_none(field, value):
    with pytest.raises(
        ConfigError, match=rf"{field}={value} is not allowed: {field} must be finite"
    ):
        config(**{field.replace(".", "__"): value})


def test_the_experiment_is_mlflows_variable_where_the_config_names_none(monkeypatch):
    assert config(tracking__experiment=None).tracking.experiment == "nnlab"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "李明")
    assert config(tracking__experiment=None).tracking.experiment == "李明"
    assert config(tracking__experiment="x").tracking.experiment == "x"


def test_a_missing_field_is_named():
    with pytest.raises(ConfigError, match="epochs is missing: give it as epochs="):
        from_mapping({key: value for key, value in VALID.items() if key != "epochs"})


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.2},
        {"epochs": 501},
        {"hidden_size": 11},
        {"seed": 1},
        {"batch_size": 64},
        {"dtype": "float64"},
        {"target_accuracy": 0.9},
        {"init__name": "glorot"},
        {"init__bias": "same"},
    ],
)
def test_what_affects_the_result_changes_the_key(change):
    assert config(**change).key("digest") != config().key("digest")


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 1},
        {"pictures": 12},
        {"run_name": "mine"},
        {"tracking__uri": "http://127.0.0.1:5000"},
        {"tracking__experiment": "other"},
        {"data__name": "other"},
        {"sharpness": {"every": 5}},
        {"snapshots": 20},
        {"lr": 0.1 + 0.0},
    ],
)
def test_what_does_not_affect_the_result_leaves_the_key_alone(change):
    assert config(**change).key("digest") == config().key("digest")


def test_an_observation_is_no_parameter_and_the_identity_of_earlier_runs_stays():
    observed = config(sharpness={"every": 5}, snapshots=20)
    assert observed.params == config().params
    # Of the version before there was such a field.
    assert config().key("digest") == (
        "2b59ac29b35df4f49a2023365f1b1eff73f554912923d656d8b8b5c49d44a015"
    )


def test_other_data_is_another_run():
    assert config().key("one") != config().key("other")


def test_equal_weights_by_another_name_are_the_same_run():
    named = config(init__name="randn_small")
    free = config(init={"name": "normal", "scale": 0.01, "shift": 0.0, "bias": "zeros"})
    assert named.key("digest") == free.key("digest")


def test_the_order_of_mini_batches_enters_the_key_only_where_there_are_any():
    assert config(data__seed=1).key("digest") == config().key("digest")
    batches = config(batch_size=64), config(batch_size=64, data__seed=1)
    assert batches[0].key("digest") != batches[1].key("digest")


def test_a_recorded_config_reads_back_as_the_same_config_and_tells_its_schema():
    recorded = yaml.safe_load(to_yaml(config(lr=0.3)))
    assert recorded.pop("schema") == CONFIG_SCHEMA == 3
    assert from_mapping(recorded) == config(lr=0.3)


def test_a_config_cannot_be_changed_once_it_is_checked():
    with pytest.raises(ValueError, match="frozen"):
        config().lr = 0.2


def test_parameters_are_flat_and_show_what_a_named_init_stands_for():
    params = config(init__name="rand_minus_half").params
    assert params["init.name"] == "rand_minus_half"
    assert (params["init.draw"], params["init.scale"], params["init.shift"]) == (
        "uniform",
        "1.0",
        "-0.5",
    )
    assert params["batch_size"] == "full"
