"""The typed config of a run: every constraint in one place, checked once; the run's identity."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue
from pydantic import Field, field_validator

from nnlab.errors import ConfigError
from nnlab.runs.validation import Checked, checked
from nnlab.training.initializers import FREE_INITS, INIT_NAMES, Bias, Initializer, InitName, named

# The meaning of a config: raise it when the same config would train to other weights or metrics.
# 2: sums run over panels of blocks, and stacked products give each run whole groups of rows.
SEMANTICS = 3

# Recorded with each config, so that later versions can read older ones. Raise it with the fields.
# 2: derived_from, model.
CONFIG_SCHEMA = 2

Objective = Literal["final_val_accuracy", "best_val_accuracy", "final_val_loss", "final_train_loss"]
Seed = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]


class InitConfig(Checked):
    """How the weights start: ``W = scale · z + shift``."""

    name: InitName = Field(description="one of " + ", ".join(INIT_NAMES))
    scale: float = Field(1.0, ge=0, description="a number, 0 or more")
    shift: float = Field(0.0, description="a number")
    bias: Bias = Field("zeros", description="zeros or same")

    @property
    def initializer(self) -> Initializer:
        """The initializer that this names."""
        return named(self.name, scale=self.scale, shift=self.shift, bias=self.bias)


class DataConfig(Checked):
    """Which images, and how they are split."""

    source: Literal["mnist_sample", "mnist", "idx", "kaggle"] = Field(
        description="one of mnist_sample, mnist, idx, kaggle"
    )
    name: str = Field(min_length=1, description="a name for the dataset")
    dir: str | None = Field(None, description="the folder that holds the IDX files")
    path: str | None = Field(None, description="the CSV file")
    val_size: int = Field(1000, ge=1, description="a whole number, 1 or more")
    seed: Seed = 0


class TrackingConfig(Checked):
    """Where runs are logged."""

    uri: str | None = Field(None, description="a tracking URI, or null for mlruns/mlflow.db")
    experiment: str = Field("nnlab", min_length=1, description="a name")
    every: int = Field(1, ge=1, description="a whole number, 1 or more")


class PruneConfig(Checked):
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


class RunConfig(Checked):
    """All that defines a run; ``conf/config.yaml`` documents each field."""

    lr: float = Field(gt=0, description="a number above 0")
    epochs: int = Field(ge=0, description="a whole number, 0 or more")
    hidden_size: int = Field(ge=1, description="a whole number, 1 or more")
    init: InitConfig
    seed: Seed
    batch_size: int | None = Field(
        ge=1, description="a whole number, 1 or more, or null for the full batch"
    )
    dtype: Literal["float32", "float64"] = Field(description="float32 or float64")
    target_accuracy: float = Field(gt=0, le=1, description="a number above 0, up to 1")
    data: DataConfig
    tracking: TrackingConfig
    run_name: str | None = Field(None, description="a name, or null to be named after what varies")
    threads: int | None = Field(
        None, ge=1, description="a whole number, 1 or more, or null for all cores"
    )
    pictures: int = Field(12, ge=0, description="a whole number, 0 or more")
    model: bool = Field(False, description="true or false")
    reuse: bool = Field(False, description="true or false")
    derived_from: str | None = Field(None, description="the id of a run, or null")
    prune: PruneConfig = PruneConfig()
    objective: Objective = Field(
        "final_val_accuracy", description="one of " + ", ".join(get_args(Objective))
    )

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the result, apart from the data: the key's other ingredients."""
        init = self.init.initializer
        return {
            "lr": self.lr,
            "epochs": self.epochs,
            "hidden_size": self.hidden_size,
            "init": [init.draw, init.scale, init.shift, init.bias],
            "seed": self.seed,
            "batch_size": self.batch_size,
            # The digest of the data covers its split; the seed orders the mini-batches too.
            "order_seed": None if self.batch_size is None else self.data.seed,
            "dtype": self.dtype,
            "target_accuracy": self.target_accuracy,
        }

    def key(self, data_digest: str) -> str:
        """Return the run's identity: runs with equal keys have equal results, to the bit.

        A SHA-256 in hex over what affects the result, the digest of the data and its split, and
        the version of the training code's meaning. Where a run is logged does not enter.
        """
        content = {"semantics": SEMANTICS, "data": data_digest, **self.identity}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def params(self) -> dict[str, str]:
        """The flat parameters that the tracking UI shows as columns."""
        init = self.init.initializer
        flat = {
            "lr": self.lr,
            "epochs": self.epochs,
            "hidden_size": self.hidden_size,
            "init.name": self.init.name,
            "init.draw": init.draw,
            "init.scale": init.scale,
            "init.shift": init.shift,
            "init.bias": init.bias,
            "seed": self.seed,
            "batch_size": "full" if self.batch_size is None else self.batch_size,
            "dtype": self.dtype,
            "target_accuracy": self.target_accuracy,
            "data.name": self.data.name,
            "data.val_size": self.data.val_size,
            "data.seed": self.data.seed,
        }
        return {name: str(value) for name, value in flat.items()}


class LaunchConfig(Checked):
    """How a sweep is carried out, ``conf/hydra/launcher``; nothing here changes a result."""

    n_jobs: int = Field(-1, ge=-1, description="a number of processes, or -1 for all cores")
    backend: Literal["loky", "dask", "sequential"] = Field(
        "loky", description="loky, dask or sequential"
    )
    address: str | None = Field(None, description="a dask scheduler, such as tcp://host:8786")
    stack: Literal["auto"] | int = Field("auto", description="auto, or a whole number, 1 or more")
    on_error: Literal["continue", "stop"] = Field("continue", description="continue or stop")
    resume: bool = Field(False, description="true or false")

    @field_validator("n_jobs")
    @classmethod
    def _some_job(cls, n_jobs: int) -> int:
        if n_jobs == 0:
            raise ValueError("no processes")
        return n_jobs

    @field_validator("stack")
    @classmethod
    def _some_run(cls, stack: str | int) -> str | int:
        if isinstance(stack, int) and stack < 1:
            raise ValueError("no runs")
        return stack


def from_hydra(config: DictConfig) -> RunConfig:
    """Check a composed config and leave Hydra behind.

    Raises
    ------
    ConfigError
        Naming each field that is missing or holds what it may not hold.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        field = str(error.full_key)
        raise ConfigError(f"{field} is needed here: give it as {field}=… .") from error
    except InterpolationKeyError as error:
        raise ConfigError(f"{error.full_key} refers to a field that does not exist.") from error
    return from_mapping({str(key): value for key, value in dict(plain or {}).items()})  # type: ignore[arg-type]


def from_mapping(plain: Mapping[str, Any]) -> RunConfig:
    """Check a plain nested mapping, as it stands in a recorded ``config.yaml``.

    Raises
    ------
    ConfigError
        Naming each field that is missing or holds what it may not hold.
    """
    config = checked(RunConfig, plain)
    if config.prune.rule == "none" and config.prune.rungs:
        raise ConfigError(f"prune.rungs={config.prune.rungs} needs prune=halving.")
    if config.init.name not in FREE_INITS:
        for field, default in (("scale", 1.0), ("shift", 0.0)):
            found = getattr(config.init, field)
            if found != default:
                raise ConfigError(
                    f"init.{field}={found:g} is not allowed: init={config.init.name} fixes it; "
                    f"use init=normal init.{field}={found:g}."
                )
    return config


def launch_config(fields: Mapping[str, Any]) -> LaunchConfig:
    """Check the launcher's fields.

    Raises
    ------
    ConfigError
        Naming each field that holds what it may not hold.
    """
    settings = checked(LaunchConfig, fields, prefix="hydra.launcher.")
    if settings.address is not None and settings.backend != "dask":
        raise ConfigError(
            f"hydra.launcher.address={settings.address} needs hydra.launcher.backend=dask."
        )
    return settings


def to_record(config: RunConfig) -> dict[str, Any]:
    """Return the resolved config as plain values, with the version of its schema."""
    return {"schema": CONFIG_SCHEMA, **config.model_dump()}


def from_record(record: Mapping[str, Any]) -> RunConfig:
    """Check a config that ``to_record`` wrote, in this version or an earlier one.

    Raises
    ------
    ConfigError
        Where a later version wrote it, or it is not whole.
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
