"""The role of each config field, and the lists of fields that follow from the roles."""

import pytest

from nnlab.errors import ConfigError
from nnlab.jobs.config import RunConfig, fields_with, fields_without, from_mapping
from nnlab.jobs.prepared_data import prepare
from nnlab.jobs.roles import Role, declared_roles, is_among

PARAMETERS = {
    "lr", "epochs", "hidden_size", "init.name", "seed", "batch_size", "dtype", "target_accuracy",
    "data.name", "data.val_size", "data.seed",
}  # fmt: skip

CONFIG = {
    "lr": 0.1, "epochs": 500, "hidden_size": 10, "init": {"name": "he"}, "seed": 3,
    "batch_size": None, "dtype": "float32", "target_accuracy": 0.8,
    "data": {"source": "idx", "name": "fashion", "dir": "x", "val_size": 99, "seed": 1},
    "tracking": {},
}  # fmt: skip


def test_a_field_without_a_role_is_refused():
    class Wider(RunConfig):
        momentum: float = 0.0

    with pytest.raises(TypeError, match=r"Wider\.momentum has no role: add one"):
        declared_roles(Wider)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (fields_with(Role.LOGGED), PARAMETERS),
        (fields_with(Role.SHARED), {"tracking", "prune", "reuse", "sharpness", "snapshots"}),
        (fields_with(Role.ONCE), {"seed", "run_name", "prune", "reuse"}),
        (
            fields_with(Role.INHERITED),
            {
                "lr", "epochs", "hidden_size", "seed", "batch_size", "dtype", "target_accuracy",
                "objective", "sharpness", "snapshots", "order_seed",
            },
        ),
        (
            fields_without(Role.RESULT),
            {
                "data.cwd", "data.dir", "data.drop_columns", "data.label_column", "data.path",
                "data.pixel_max", "data.test_path", "data.transpose",
                "derived_from", "model", "objective", "pictures", "prune",
                "reuse", "run_name", "sharpness", "snapshots", "threads", "tracking",
            },
        ),
        (
            fields_without(Role.NAMED),
            {
                "data.cwd", "data.dir", "data.drop_columns", "data.label_column", "data.path",
                "data.pixel_max", "data.test_path", "data.transpose",
                "derived_from", "model", "objective", "pictures", "reuse",
                "run_name", "sharpness", "snapshots", "threads", "tracking",
            },
        ),
    ],
    ids=["logged", "shared", "once", "inherited", "no result", "unnamed"],
)  # fmt: skip
def test_each_list_of_fields_is_the_one_that_stored_runs_were_made_with(fields, expected):
    assert set(fields) == expected
    assert len(fields) == len(expected)


def test_the_identity_holds_what_the_keys_of_stored_runs_were_made_of():
    assert from_mapping(CONFIG).identity == {
        "lr": 0.1, "epochs": 500, "hidden_size": 10, "init": ["normal", "he", 0.0, "zeros"],
        "seed": 3, "batch_size": None, "order_seed": None, "dtype": "float32",
        "target_accuracy": 0.8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "d5346536922418555a9b1b67278b1aca8591a7dff28d0d87ee9cbe30f0c464ee"),
        (
            {"batch_size": 64, "dtype": "float64"},
            "a59aa6bc001f5cbdd54c86ec9fa48d0a37dc1823b5a6187564e7c68f069fdcaf",
        ),
        (
            {"init": {"name": "normal", "scale": 0.3, "shift": -0.5, "bias": "same"}},
            "7c0a26fdc8a11bb40130e13c1ccad00f8beb2240c3ba8837cd5686a26c473a6d",
        ),
    ],
)
def test_the_key_of_a_config_is_the_one_that_stored_runs_have(changes, key):
    assert from_mapping({**CONFIG, **changes}).key("a digest") == key


def test_an_order_seed_that_is_the_datas_own_is_no_other_run():
    batches = {**CONFIG, "batch_size": 64}
    plain, same, other = (
        from_mapping({**batches, **more}) for more in ({}, {"order_seed": 1}, {"order_seed": 2})
    )
    assert plain.key("a digest") == same.key("a digest") != other.key("a digest")
    assert (plain.params.get("order_seed"), other.params["order_seed"]) == (None, "2")


def test_an_order_seed_is_refused_where_there_is_no_order():
    with pytest.raises(ConfigError, match="order_seed=2 is not allowed with the full batch"):
        from_mapping({**CONFIG, "order_seed": 2})


def test_the_parameters_keep_their_names_and_their_order():
    assert from_mapping(CONFIG).params == {
        "lr": "0.1", "epochs": "500", "hidden_size": "10", "init.name": "he",
        "init.draw": "normal", "init.scale": "he", "init.shift": "0.0", "init.bias": "zeros",
        "seed": "3", "batch_size": "full", "dtype": "float32", "target_accuracy": "0.8",
        "data.name": "fashion", "data.val_size": "99", "data.seed": "1",
    }  # fmt: skip
    assert list(from_mapping(CONFIG).params) == [
        "lr", "epochs", "hidden_size", "init.name", "init.draw", "init.scale", "init.shift",
        "init.bias", "seed", "batch_size", "dtype", "target_accuracy", "data.name",
        "data.val_size", "data.seed",
    ]  # fmt: skip


def test_a_section_stands_for_its_fields_and_for_nothing_else():
    assert is_among("prune.eta", ["prune"])
    assert is_among("prune", ["prune"])
    assert not is_among("pruned", ["prune"])
    assert not is_among("data", ["data.dir"])


def test_the_order_seed_moves_the_order_of_mini_batches_and_not_the_split():
    small = {"source": "mnist_sample", "name": "mnist_sample", "val_size": 4900, "seed": 1}
    configs = [
        from_mapping({**CONFIG, "data": small, "batch_size": 16, "order_seed": order})
        for order in (None, 1, 2)
    ]
    prepared = prepare(configs[0].data)
    plain, same, other = (prepared.training(config).batches for config in configs)

    def first(batches):
        return next(batches.of_epoch(0))[1].tolist()

    assert first(plain) == first(same) != first(other)
    assert sorted(plain.labels) == sorted(other.labels)
