"""The typed config of a run: each field with its limits and its role, and the run's identity."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, Strict, field_validator, model_validator

from nnlab.errors import ConfigError
from nnlab.jobs.roles import Role, declared_roles
from nnlab.jobs.validation import StrictModel, validated
from nnlab.safe_text import masked
from nnlab.training.arithmetic import EXACT
from nnlab.training.history import snapshot_epochs
from nnlab.training.initializers import FREE_INITS, INIT_NAMES, Bias, Initializer, InitName, named

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # https://…, s3://…, file://…

# The meaning of a config: raise it when the same config would train to other weights or metrics.
# 2: sums run over panels of blocks, and stacked products give each run whole groups of rows.
# 3: a run's hidden units share the row groups of the kernel; the products include the bias. Sums
#    run in another order again.
SEMANTICS = 3

# Recorded with each config, so that later versions can read older ones. Raise it with the fields.
# 2: derived_from, model.
# 3: sharpness, snapshots, order_seed; data.test_path, .cwd, .pixel_max, .label_column,
#    .drop_columns, .transpose.
CONFIG_SCHEMA = 3

LARGEST = 10**9  # epochs and units: NumPy's own limits are met without a sentence


Objective = Literal[
    "final_val_accuracy", "late_val_accuracy", "best_val_accuracy", "final_val_loss",
    "final_train_loss",
]  # fmt: skip
Seed = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]


class InitConfig(StrictModel):
    """How the weights start: ``W = scale · z + shift``."""

    name: Annotated[InitName, Role.PARAMETER] = Field(description="one of " + ", ".join(INIT_NAMES))
    scale: Annotated[float, Role.SETTING] = Field(1.0, ge=0, description="a number, 0 or more")
    shift: Annotated[float, Role.SETTING] = Field(0.0, description="a number")
    bias: Annotated[Bias, Role.SETTING] = Field("zeros", description="zeros or same")

    @property
    def initializer(self) -> Initializer:
        """The initializer that this section names."""
        return named(self.name, scale=self.scale, shift=self.shift, bias=self.bias)


class DataConfig(StrictModel):
    """Which images, and how they are split."""

    source: Annotated[Literal["mnist_sample", "mnist", "idx", "kaggle", "file"], Role.SETTING] = (
        Field(description="one of mnist_sample, mnist, idx, kaggle, file")
    )
    name: Annotated[str, Role.PARAMETER] = Field(min_length=1, description="a name for the dataset")
    dir: Annotated[str | None, Role.WHERE_OR_HOW] = Field(
        None, description="the folder that holds the IDX files"
    )
    path: Annotated[str | None, Role.WHERE_OR_HOW] = Field(
        None, description="a file or a folder of labelled images"
    )
    test_path: Annotated[str | None, Role.WHERE_OR_HOW] = Field(
        None, description="a file or a folder of labelled images"
    )
    cwd: Annotated[str | None, Role.WHERE_OR_HOW] = Field(
        None, description="the folder from which relative paths start"
    )
    # The defaults stand for configs that were recorded before these fields existed. All values
    # were bytes then, and all columns but `label` were pixels. The files in conf/data have null.
    pixel_max: Annotated[float | None, Role.WHERE_OR_HOW] = Field(
        255, gt=0, description="a number above 0, or null to tell it by the values"
    )
    label_column: Annotated[str | None, Role.WHERE_OR_HOW] = Field(
        "label", description="the name of a column, first, last, or null to tell it"
    )
    drop_columns: Annotated[tuple[str, ...] | None, Strict(strict=False), Role.WHERE_OR_HOW] = (
        Field((), description="a list of names, such as [id,fold], or null to tell it")
    )
    transpose: Annotated[bool, Role.WHERE_OR_HOW] = Field(False, description="true or false")
    val_size: Annotated[int, Role.PARAMETER] = Field(
        1000, ge=1, description="a number of images, 1 or more, and not a share of them"
    )
    seed: Annotated[Seed, Role.PARAMETER] = 0

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: object) -> object:
        """Name a dataset after its file, and keep the folder from which relative paths start."""
        if not isinstance(given, dict):
            return given  # which is refused, and named, as any other value of a wrong type
        fields = dict(given)
        if isinstance(fields.get("label_column"), int):
            fields["label_column"] = str(fields["label_column"])
        paths = [fields.get(name) for name in ("dir", "path", "test_path")]
        if fields.get("cwd") is None and any(isinstance(p, str) and _is_relative(p) for p in paths):
            fields["cwd"] = str(Path.cwd())
        if fields.get("name") is None and isinstance(fields.get("path"), str):
            fields["name"] = _short_name(Path(fields["path"]))
        return fields

    def located(self, typed: str) -> Path:
        """Return the path that one of the fields names, here or where the run was started.

        Raises
        ------
        ConfigError
            Where it is an address of another machine.
        """
        if ADDRESS.match(typed):
            raise ConfigError(
                f"{typed} is an address, expected a file or folder of this machine: download it "
                "first, and give its path."
            )
        path = Path(typed).expanduser()
        if path.is_absolute() or self.cwd is None or Path(self.cwd) == Path.cwd():
            return path
        recorded = Path(self.cwd) / path
        return recorded if recorded.exists() else path


def _is_relative(path: str) -> bool:
    return not Path(path).expanduser().is_absolute()


def _short_name(path: Path) -> str:
    """Name a dataset after its file; after the folder too where the file's name says nothing."""
    stem = path.name.partition(".")[0] or path.name
    if stem.lower() in ("train", "training", "data", "images", "mnist") and path.parent.name:
        return f"{path.parent.name}/{stem}"
    return stem or "file"


def _experiment() -> str:
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or "nnlab"


class TrackingConfig(StrictModel):
    """Where runs are logged."""

    uri: str | None = Field(None, description="a tracking URI, or null for mlruns/mlflow.db")
    experiment: str = Field(
        default_factory=_experiment, min_length=1,
        description="a name, or null for $MLFLOW_EXPERIMENT_NAME, else nnlab",
    )  # fmt: skip
    every: int = Field(
        1, ge=1, le=LARGEST, description=f"a whole number, 1 or more, at most {LARGEST}"
    )

    @field_validator("experiment", mode="before")
    @classmethod
    def _named(cls, experiment: object) -> object:
        return _experiment() if experiment is None else experiment


class PruneConfig(StrictModel):
    """Which runs of a sweep end early: none, or all but the best at each rung."""

    rule: Literal["none", "halving"] = Field("none", description="none or halving")
    rungs: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="a list of ascending epochs, such as [20,60,180]"
    )
    eta: int = Field(3, ge=2, description="a whole number, 2 or more")

    @field_validator("rungs")
    @classmethod
    def _ascending(cls, rungs: list[int]) -> list[int]:
        if rungs != sorted(set(rungs)):
            raise ValueError("not ascending")
        return rungs


class SharpnessConfig(StrictModel):
    """How often the sharpness is observed. It changes no result, and is no part of the identity."""

    every: int | None = Field(
        None, ge=1, le=LARGEST, description=f"a whole number, 1 or more, at most {LARGEST}, or null"
    )


class RunConfig(StrictModel):
    """All that defines a run; ``conf/config.yaml`` documents each field."""

    lr: Annotated[float, Role.HYPERPARAMETER] = Field(gt=0, description="a number above 0")
    epochs: Annotated[int, Role.HYPERPARAMETER] = Field(
        ge=0, le=LARGEST, description=f"a whole number, 0 or more, at most {LARGEST}"
    )
    hidden_size: Annotated[int, Role.HYPERPARAMETER] = Field(
        ge=1, le=LARGEST, description=f"a whole number, 1 or more, at most {LARGEST}"
    )
    init: InitConfig
    seed: Annotated[Seed, Role.HYPERPARAMETER | Role.ONCE]
    # Not among the logged parameters where it is null: runs have those that they always had.
    order_seed: Annotated[Seed | None, Role.RESULT | Role.NAMED | Role.INHERITED] = Field(
        None, description="a whole number, 0 or more, or null for data.seed"
    )
    batch_size: Annotated[int | None, Role.HYPERPARAMETER] = Field(
        ge=1, description="a whole number, 1 or more, or null for the full batch"
    )
    dtype: Annotated[Literal["float32", "float64", "exact"], Role.HYPERPARAMETER] = Field(
        description="float32, float64 or exact"
    )
    target_accuracy: Annotated[float, Role.HYPERPARAMETER] = Field(
        gt=0, le=1, description="a number above 0, up to 1"
    )
    data: DataConfig
    tracking: Annotated[TrackingConfig, Role.SHARED]
    sharpness: Annotated[SharpnessConfig, Role.SHARED | Role.INHERITED] = SharpnessConfig()
    snapshots: Annotated[int | None, Role.SHARED | Role.INHERITED] = Field(
        None, ge=2, le=LARGEST, description=f"a whole number, 2 or more, at most {LARGEST}, or null"
    )
    run_name: Annotated[str | None, Role.ONCE] = Field(
        None, description="a name, or null to be named after what varies"
    )
    threads: Annotated[int | None, Role.WHERE_OR_HOW] = Field(
        None, ge=1, description="a whole number, 1 or more, or null for all cores"
    )
    pictures: Annotated[int, Role.WHERE_OR_HOW] = Field(
        12, ge=0, description="a whole number, 0 or more"
    )
    model: Annotated[bool, Role.WHERE_OR_HOW] = Field(False, description="true or false")
    reuse: Annotated[bool | Literal["imported"], Role.SHARED | Role.ONCE] = Field(
        False, description="true, false or imported"
    )
    derived_from: Annotated[str | None, Role.WHERE_OR_HOW] = Field(
        None, description="the id of a run, or null"
    )
    prune: Annotated[PruneConfig, Role.SHARED | Role.ONCE | Role.NAMED] = PruneConfig()
    objective: Annotated[Objective, Role.INHERITED] = Field(
        "final_val_accuracy", description="one of " + ", ".join(get_args(Objective))
    )

    @property
    def identity(self) -> dict[str, Any]:
        """What the result depends on, apart from the data and the code."""
        init = self.init.initializer
        return {
            **{name: getattr(self, name) for name in fields_with(Role.RESULT) if "." not in name},
            "init": [init.draw, init.scale, init.shift, init.bias],
            # The digest of the data covers its split.
            "order_seed": self.seed_of_order,
        }

    @property
    def snapshot_epochs(self) -> frozenset[int]:
        """The epochs at which snapshots are taken; see ``training.snapshots``."""
        count = self.snapshots
        return frozenset() if count is None else snapshot_epochs(self.epochs, count)

    @property
    def seed_of_order(self) -> int | None:
        """The seed of the mini-batches' order; None for the full batch, which has no order."""
        if self.batch_size is None:
            return None
        return self.data.seed if self.order_seed is None else self.order_seed

    def key(self, data_digest: str) -> str:
        """Return the run's identity: runs with equal keys have equal results, to the bit.

        Parameters
        ----------
        data_digest : str
            Digest of the images, the labels and the split.

        Returns
        -------
        str
            SHA-256, in hex, over ``identity``, the digest of the data and ``SEMANTICS``.
        """
        content = {"semantics": SEMANTICS, "data": data_digest, **self.identity}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def params(self) -> dict[str, str]:
        """The flat parameters that the tracking UI shows as columns."""
        init = self.init.initializer
        params: dict[str, Any] = {}
        for name in fields_with(Role.LOGGED):
            params[name] = attrgetter(name)(self)
            if name == "init.name":
                params |= {
                    "init.draw": init.draw,
                    "init.scale": init.scale,
                    "init.shift": init.shift,
                    "init.bias": init.bias,
                }
        if self.order_seed is not None:
            params["order_seed"] = self.order_seed
        if self.batch_size is None:
            params["batch_size"] = "full"
        return {name: str(value) for name, value in params.items()}


ROLES = declared_roles(RunConfig)


def fields_with(role: Role) -> tuple[str, ...]:
    """Return the fields, or whole sections, that have a role."""
    return tuple(name for name, declared in ROLES.items() if role in declared)


def fields_without(role: Role) -> tuple[str, ...]:
    """Return the fields, or whole sections, that do not have a role."""
    return tuple(name for name, declared in ROLES.items() if role not in declared)


def from_mapping(plain: Mapping[str, Any]) -> RunConfig:
    """Check a plain nested mapping, as a recorded ``config.yaml`` holds it.

    Raises
    ------
    ConfigError
        Naming each field that is missing or has a value that is not allowed.
    """
    config = validated(RunConfig, plain)
    if config.prune.rule == "none" and config.prune.rungs:
        raise ConfigError(f"prune.rungs={config.prune.rungs} needs prune=halving.")
    if config.order_seed is not None and config.batch_size is None:
        raise ConfigError(
            f"order_seed={config.order_seed} is not allowed with the full batch, which has no "
            "order: give batch_size too, or leave it out."
        )
    if config.sharpness.every is not None and config.dtype == EXACT:
        raise ConfigError(
            f"sharpness.every={config.sharpness.every} is not allowed with dtype=exact: the "
            "eigenvalue comes from LAPACK, whose bits depend on the machine; leave it out, or use "
            "dtype=float64."
        )
    if config.init.name not in FREE_INITS:
        for field, default in (("scale", 1.0), ("shift", 0.0)):
            value = getattr(config.init, field)
            if value != default:
                raise ConfigError(
                    f"init.{field}={value:g} is not allowed: init={config.init.name} fixes it; "
                    f"use init=normal init.{field}={value:g}."
                )
    return config


def to_record(config: RunConfig) -> dict[str, Any]:
    """Return the resolved config as plain values, with the version of its schema, no password."""
    record = {"schema": CONFIG_SCHEMA, **config.model_dump()}
    if config.tracking.uri is not None:
        record["tracking"]["uri"] = masked(config.tracking.uri)
    return record


def from_record(record: Mapping[str, Any]) -> RunConfig:
    """Check a config that ``to_record`` wrote, in this version or an earlier one.

    Raises
    ------
    ConfigError
        Where a later version wrote it, or a field is missing or wrong.
    """
    plain = dict(record)
    schema = plain.pop("schema", None)
    if not isinstance(schema, int) or schema > CONFIG_SCHEMA:
        raise ConfigError(
            f"The recorded config has schema {schema}, this version of nnlab reads up to "
            f"{CONFIG_SCHEMA}: use the version that wrote it."
        )
    return from_mapping(plain)


def to_yaml(config: RunConfig) -> str:
    """Return the resolved config as YAML, with the version of its schema."""
    return str(yaml.dump(to_record(config), Dumper=yaml.CSafeDumper, sort_keys=False))
