"""What differs between two recorded runs besides their results, and what of it can matter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nnlab.reproduction.record import RecordedRun
from nnlab.runs.config import fields_without
from nnlab.runs.roles import Role, is_among
from nnlab.runs.tags import Tag

Kind = Literal["record", "data", "config", "code", "libraries", "BLAS or processor"]

INDIFFERENT = fields_without(Role.RESULT)

# Modules whose code decides a result. What reads the data is not among them: whatever it reads,
# the digest of the data tells.
DECISIVE = frozenset(
    f"{name}.py"
    for name in (
        "data/dataset", "runs/config", "runs/roles", "runs/validation", "training/blas",
        "training/blocks", "training/engine", "training/first_layer", "training/full_batch",
        "training/history", "training/initializers", "training/minibatches", "training/network",
        "training/outcomes", "training/row_layout", "training/training_data", "training/workspace",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes
    ----------
    kind : where it belongs
    what : its name
    one, other : its values, as text
    decisive : whether a result can depend on it
    """

    kind: Kind
    what: str
    one: str
    other: str
    decisive: bool = True


def differences(one: RecordedRun, other: RecordedRun) -> list[Difference]:
    """List what differs between two runs, what is likeliest to matter first."""
    found = [
        *(Difference("record", fault, "", "") for fault in (*one.faults, *other.faults)),
        *_data(one, other),
        *_config(one, other),
        *_code(one, other),
        *_libraries(one.environment, other.environment),
        *_machine(one.environment, other.environment),
    ]
    return sorted(found, key=lambda each: not each.decisive)  # sorting keeps the order of kinds


def _data(one: RecordedRun, other: RecordedRun) -> Iterator[Difference]:
    first, second = (record.run.tags.get(Tag.DATA_DIGEST, "unknown") for record in (one, other))
    if first != second:
        yield Difference("data", "digest of images, labels and split", first[:12], second[:12])


def _config(one: RecordedRun, other: RecordedRun) -> Iterator[Difference]:
    first, second = (dict(_flat(record.stated)) for record in (one, other))
    for name in dict.fromkeys([*first, *second]):
        if is_among(name, INDIFFERENT):
            continue
        # A field that an earlier schema lacked has its default there.
        values = [
            fields[name] if name in fields else dict(_flat(record.config.model_dump())).get(name)
            for fields, record in ((first, one), (second, other))
        ]
        if values[0] != values[1]:
            yield Difference("config", name, str(values[0]), str(values[1]))


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
        then, now = (record.run.params.get(name, "unknown") for record in (one, other))
        if one.stated["init"] == other.stated["init"] and then != now:
            yield Difference("code", f"{name} of init={one.stated['init']['name']}", then, now)
    if one.modules and other.modules:
        for name in sorted(one.modules.keys() | other.modules.keys()):
            then, now = (record.modules.get(name, "absent")[:12] for record in (one, other))
            if then != now:
                decisive = name in DECISIVE or now == "absent"
                yield Difference("code", f"nnlab/{name}", then, now, decisive)
    then, now = _commit(one), _commit(other)
    if then != now:
        known = bool(one.modules and other.modules)  # they say it better
        yield Difference("code", "commit", then, now, decisive=not known)


def _commit(record: RecordedRun) -> str:
    commit = record.run.tags.get(Tag.GIT_COMMIT)
    if commit is None:
        return "unknown"
    return commit[:12] + (" with changes" if record.run.tags.get(Tag.GIT_DIRTY) == "true" else "")


def _libraries(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    if not (one and other):
        return
    for name in ("python", "os"):
        if one.get(name) != other.get(name):
            yield Difference("libraries", name, str(one[name]), str(other[name]), decisive=False)
    first, second = one.get("packages", {}), other.get("packages", {})
    for name in sorted(first.keys() | second.keys(), key=lambda name: (name != "numpy", name)):
        then, now = (packages.get(name, "absent") for packages in (first, second))
        if then != now:
            yield Difference("libraries", name, then, now, decisive=name == "numpy")


def _machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    if not (one and other):
        return
    for name in ("processor", "instructions", "blas", "variables"):
        if name in one and name in other and one[name] != other[name]:
            then, now = _inner(one[name], other[name])
            yield Difference("BLAS or processor", name, then, now)
    if one.get("cores") != other.get("cores"):
        then, now = str(one.get("cores")), str(other.get("cores"))
        yield Difference("BLAS or processor", "cores", then, now, decisive=False)


def _inner(one: Any, other: Any) -> tuple[str, str]:  # noqa: ANN401 - any part of a JSON file
    """Write two values down, of mappings only the entries that differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) == 1:
        one, other = one[0], other[0]
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return str(one), str(other)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return tuple(  # type: ignore[return-value]
        ", ".join(f"{name} {_words(values.get(name, 'not set'))}" for name in names)
        for values in (one, other)
    )


def _words(value: Any) -> str:  # noqa: ANN401 - any part of a JSON file
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
