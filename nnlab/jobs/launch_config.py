"""The typed config of the launcher: how a sweep is carried out."""

from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from nnlab.errors import ConfigError
from nnlab.jobs.code_version import CONF
from nnlab.jobs.validation import StrictModel, validated


class LaunchConfig(StrictModel):
    """How a sweep is carried out, ``conf/hydra/launcher``; nothing here changes a result."""

    n_jobs: int = Field(
        -1, description="a number of processes; or -1 for all cores, -2 for all but one, and so on"
    )
    backend: Literal["loky", "dask", "sequential"] = Field(
        "loky", description="loky, dask or sequential"
    )
    address: str | None = Field(None, description="a dask scheduler, such as tcp://host:8786")
    stack: Literal["auto"] | int = Field("auto", description="auto, or a whole number, 1 or more")
    on_error: Literal["continue", "stop"] = Field("continue", description="continue or stop")
    resume: bool = Field(False, description="true or false")

    @field_validator("n_jobs")
    @classmethod
    def _not_zero(cls, n_jobs: int) -> int:
        if n_jobs == 0:
            raise ValueError("no processes")
        return n_jobs

    @field_validator("stack")
    @classmethod
    def _positive(cls, stack: str | int) -> str | int:
        if isinstance(stack, int) and stack < 1:
            raise ValueError("no runs")
        return stack


def own_fields() -> dict[str, Any]:
    """Return the launcher's fields as the files of ``conf/`` on this machine have them."""
    path = CONF / "hydra" / "launcher" / "nnlab.yaml"
    fields = dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    return {name: value for name, value in fields.items() if name != "_target_"}


def launch_config(fields: Mapping[str, Any]) -> LaunchConfig:
    """Check the launcher's fields.

    Raises
    ------
    ConfigError
        Naming each field that has a value that is not allowed.
    """
    settings = validated(LaunchConfig, fields, prefix="hydra.launcher.")
    if settings.address is not None and settings.backend != "dask":
        raise ConfigError(
            f"hydra.launcher.address={settings.address} needs hydra.launcher.backend=dask."
        )
    return settings
