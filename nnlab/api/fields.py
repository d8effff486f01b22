"""The fields that ``nnlab.run`` and ``nnlab.sweep`` take, for editors and type checkers."""

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, TypeAlias, TypedDict

Section: TypeAlias = Mapping[str, Any]
Text: TypeAlias = str | PathLike[str]


class RunFields(TypedDict, total=False):
    """The fields of a run, as ``conf/config.yaml`` documents them; all may be left out."""

    lr: float
    epochs: int
    hidden_size: int
    init: str | Section
    seed: int
    order_seed: int | None
    batch_size: int | None
    dtype: str
    target_accuracy: float
    data: str | Section
    tracking: Section
    sharpness: Section
    snapshots: int | None
    run_name: str | None
    threads: int | None
    pictures: int
    model: bool
    reuse: bool | str
    derived_from: str | None
    prune: str | Section
    objective: str
    experiment: str


class SweepFields(TypedDict, total=False):
    """The fields of a sweep: any may have several values."""

    lr: float | Iterable[float]
    epochs: int | Iterable[int]
    hidden_size: int | Iterable[int]
    init: str | Iterable[str] | Section
    seed: int | Iterable[int]
    order_seed: int | Iterable[int | None] | None
    batch_size: int | Iterable[int | None] | None
    dtype: str | Iterable[str]
    target_accuracy: float | Iterable[float]
    data: str | Iterable[str] | Section
    tracking: Section
    sharpness: Section
    snapshots: int | None
    run_name: str | None
    threads: int | None
    pictures: int
    model: bool
    reuse: bool | str
    derived_from: str | None
    prune: str | Section
    objective: str
    experiment: str
