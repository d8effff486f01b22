"""The differences between two recorded runs besides their results, and which of them matter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nnlab.jobs.config import fields_without
from nnlab.jobs.roles import Role, is_among
from nnlab.jobs.tags import Tag
from nnlab.reproduction.recorded_run import RecordedRun

Kind = Literal["record", "data", "config", "code", "libraries", "BLAS or processor"]

WITHOUT_EFFECT = fields_without(Role.RESULT)
ABSENT = "absent"

# Modules whose code can change a result. Those that read the data do not belong here, because the
# digest of the data shows what they have read.
DECISIVE = frozenset(
    f"{name}.py"
    for name in (
        "data/dataset", "data/permutation", "jobs/config", "jobs/roles", "jobs/validation",
        "training/arithmetic", "training/blas", "training/blocks", "training/curvature",
        "training/elementary", "training/engine", "training/exact_draws", "training/exact_sums",
        "training/first_layer", "training/full_batch", "training/history", "training/initializers",
        "training/minibatches", "training/network", "training/norms", "training/outcomes",
        "training/row_layout", "training/sharpness", "training/snapshots", "training/training_data",
        "training/workspace",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One difference between two runs.

    Attributes
    ----------
    kind : Kind
        Which part of the record it belongs to.
    what : str
        Name of the field, module, package or machine property; or a sentence, of a record.
    one, other : str
        The two values, as text.
    decisive : bool
        Whether a result can depend on it.
    """

    kind: Kind
    what: str
    one: str
    other: str
    decisive: bool = True

    @property
    def is_of_module(self) -> bool:
        """Whether a module of the code, or its commit, differs."""
        return self.kind == "code" and (self.what == "commit" or self.what.startswith("nnlab/"))


def differences(one: RecordedRun, other: RecordedRun) -> list[Difference]:
    """List the differences between two runs, the most likely causes first.

    Libraries and machines decide nothing where both runs are of ``dtype=exact``.
    """
    machines = [
        *_libraries(one.environment, other.environment),
        *_machine(one.environment, other.environment),
    ]
    if one.is_exact and other.is_exact:
        machines = [replace(difference, decisive=False) for difference in machines]
    listed = [
        *(Difference("record", fault, "", "") for fault in (*one.faults, *other.faults)),
        *_data(one, other),
        *_config(one, other),
        *_code(one, other),
        *machines,
    ]
    return sorted(listed, key=lambda difference: not difference.decisive)  # keeps order otherwise


def _data(one: RecordedRun, other: RecordedRun) -> Iterator[Difference]:
    first, second = (recorded.run.tags.get(Tag.DATA_DIGEST, "unknown") for recorded in (one, other))
    if first != second:
        yield Difference("data", "digest of images, labels and split", first[:12], second[:12])


def _config(one: RecordedRun, other: RecordedRun) -> Iterator[Difference]:
    # A field that an earlier schema did not have had the value that is its default now.
    first, second = (
        dict(_flat(recorded.config.model_dump())) | dict(_flat(recorded.config_yaml))
        for recorded in (one, other)
    )
    written = dict(_flat(one.config_yaml)) | dict(_flat(other.config_yaml))
    for name in written:
        if first.get(name) != second.get(name) and not is_among(name, WITHOUT_EFFECT):
            yield Difference("config", name, str(first.get(name)), str(second.get(name)))


def _flat(nested: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{head}{name}.")
        else:
            yield head + name, value


def _code(one: RecordedRun, other: RecordedRun) -> Iterator[Difference]:
    if one.semantics != other.semantics:
        what = "version of the training code's meaning"
        yield Difference("code", what, one.semantics, other.semantics)
    for name in ("init.draw", "init.scale", "init.shift", "init.bias"):
        then, now = (recorded.run.params.get(name, "unknown") for recorded in (one, other))
        init = one.config_yaml["init"]
        if init == other.config_yaml["init"] and then != now:
            yield Difference("code", f"{name} of init={init['name']}", then, now)
    if one.modules and other.modules:
        for name in sorted(one.modules.keys() | other.modules.keys()):
            then, now = (recorded.modules.get(name, ABSENT)[:12] for recorded in (one, other))
            if then != now:
                decisive = name in DECISIVE or now == ABSENT
                yield Difference("code", f"nnlab/{name}", then, now, decisive)
    then, now = _commit(one), _commit(other)
    if then != now:
        # Where both runs recorded their modules, these say exactly what differs.
        decisive = not (one.modules and other.modules)
        yield Difference("code", "commit", then, now, decisive=decisive)


def _commit(recorded: RecordedRun) -> str:
    commit = recorded.run.tags.get(Tag.GIT_COMMIT)
    if commit is None:
        return "unknown"
    return commit[:12] + (" with changes" if recorded.run.tags.get(Tag.GIT_DIRTY) == "true" else "")


def _libraries(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    if not (one and other):
        return
    for name in ("python", "os"):
        if one.get(name) != other.get(name):
            then, now = (str(recorded.get(name, ABSENT)) for recorded in (one, other))
            yield Difference("libraries", name, then, now, decisive=False)
    first, second = one.get("packages", {}), other.get("packages", {})
    for name in sorted(first.keys() | second.keys(), key=lambda name: (name != "numpy", name)):
        then, now = (packages.get(name, ABSENT) for packages in (first, second))
        if then != now:
            yield Difference("libraries", name, then, now, decisive=name == "numpy")


def _machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    if not (one and other):
        return
    versions = [recorded.get("packages", {}).get("numpy") for recorded in (one, other)]
    decisive = {
        "processor": True,
        # Versions of NumPy have other names for the same instructions.
        "instructions": versions[0] == versions[1],
        "blas": _without_threads(one.get("blas")) != _without_threads(other.get("blas")),
        "cores": False,
    }
    for name, matters in decisive.items():
        if name in one and name in other and one[name] != other[name]:
            then, now = _as_text(one[name], other[name])
            yield Difference("BLAS or processor", name, then, now, matters)
    if "variables" in one and "variables" in other:
        yield from _variables(one, other)


def _variables(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    """List the variables that differ; one that chooses matters only where the choice differs.

    BLAS trains with one thread whatever the variables say, and the kernels and instructions that
    ran are recorded: without the processor's consent, a variable does not get those that it names.
    """
    first, second = one["variables"], other["variables"]
    libraries = {
        each.get("internal_api") for each in (*one.get("blas", ()), *other.get("blas", ()))
    }
    matters = {
        "OPENBLAS_CORETYPE": "blas" not in one or one["blas"] != other.get("blas"),
        "MKL_CBWR": not libraries or "mkl" in libraries,
        "VECLIB_MAXIMUM_THREADS": not libraries,  # the one that cannot be set to one thread
        **dict.fromkeys(
            ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"),
            one.get("instructions") != other.get("instructions"),
        ),
    }
    for name in dict.fromkeys((*first, *second)):
        then, now = (values.get(name, "not set") for values in (first, second))
        if then != now:
            yield Difference("BLAS or processor", name, then, now, matters.get(name, False))


def _without_threads(blas: Any) -> Any:  # noqa: ANN401 - any part of a JSON file
    """Return BLAS libraries without their threading layer: one thread needs none."""
    return [
        {name: value for name, value in library.items() if name != "threading_layer"}
        for library in blas or ()
    ]


def _as_text(one: Any, other: Any) -> tuple[str, str]:  # noqa: ANN401 - any part of a JSON file
    """Write two values as text; of two mappings only the entries that differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) == 1:
        one, other = one[0], other[0]
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return str(one), str(other)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return tuple(  # type: ignore[return-value]
        ", ".join(f"{name} {_joined(values.get(name, 'not set'))}" for name in names)
        for values in (one, other)
    )


def _joined(value: Any) -> str:  # noqa: ANN401 - any part of a JSON file
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
