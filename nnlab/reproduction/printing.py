"""On the terminal: certificates, and what differs between two runs."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape

from nnlab.reproduction.certificate import Certificate, Deviation
from nnlab.reproduction.differences import Difference
from nnlab.reproduction.explain import Explanation

COLOURS = {"bit-identical": "green", "within tolerance": "yellow", "different": "red"}
LABEL = 16  # columns
NAMED = 6  # differences without effect that are named


def report_certificates(certificates: Sequence[Certificate], uri: str | None) -> None:
    """Print certificates: one in full, several as a line each and a sum."""
    console = Console(highlight=False, soft_wrap=True)
    if len(certificates) == 1:
        _print_certificate(console, certificates[0], uri)
        return
    for each in certificates:
        colour = COLOURS[each.verdict]
        why = f"  ({', '.join(each.causes)})" if each.causes else ""
        console.print(
            f"{each.run[:8]}  made again as {each.reproduction[:8]}  "
            f"[{colour}]{each.verdict}[/]{escape(why)}  {escape(each.name)}"
        )
    counts = [
        f"{count} {verdict}"
        for verdict in COLOURS
        for count in [sum(each.verdict == verdict for each in certificates)]
        if count
    ]
    console.print(f"\n{len(certificates)} runs: {', '.join(counts)}")
    causes = tuple(dict.fromkeys(cause for each in certificates for cause in each.causes))
    if causes:
        console.print(f"causes: {', '.join(causes)}")
    _print_differences(console, _common(certificates))


def report_explanation(found: Explanation) -> None:
    """Print what differs between two runs, and where their curves part."""
    console = Console(highlight=False, soft_wrap=True)
    for label, name, result in (("A", *found.one), ("B", *found.other)):
        console.print(f"[bold]{label}[/]  {escape(name)}  {escape(result)}")
    if not found.differences:
        console.print("nothing that was recorded of config, code, data or environment differs")
    _print_differences(console, found.differences)
    for line in found.patch:
        console.print(f"  {line}", markup=False)
    if found.first is None:
        console.print("the curves are the same, to the bit")
        return
    console.print(f"the curves part at {_deviation(found.first)}")
    if found.largest is not None:
        console.print(f"furthest apart at {_deviation(found.largest)}")


def _print_certificate(console: Console, found: Certificate, uri: str | None) -> None:
    console.print(f"[bold]certificate of {found.run[:8]}[/]  {escape(found.name)}")
    then, now = (digest[:12] for digest in found.weights_sha256)
    accuracies = ["none" if accuracy is None else f"{accuracy:.4f}" for accuracy in found.accuracy]
    lines = {
        "verdict": f"[{COLOURS[found.verdict]}]{found.verdict}[/]",
        "weights": f"SHA-256 {then}… recorded, {now}… found",
        "val accuracy": f"{accuracies[0]} recorded, {accuracies[1]} found",
        "metrics": f"{found.values} values: "
        + ("all equal" if found.first is None else f"they part at {_deviation(found.first)}"),
    }
    if found.largest is not None:
        lines["largest"] = _deviation(found.largest)
    if found.beyond is not None:
        lines[f"beyond {found.tolerance:g}"] = f"from {_deviation(found.beyond)}"
    if "record" in found.causes and found.first is None and then == now:
        lines["result"] = "as it was noted: what differs is the record, which was changed since"
    if found.causes:
        lines["cause"] = escape(", ".join(found.causes))
    elsewhere = "" if uri is None else f" --uri {escape(uri)}"
    lines["expected"] = escape(found.expected)
    lines["logged as"] = f"{found.reproduction}  (nnlab ui {found.reproduction[:8]}{elsewhere})"
    for label, text in lines.items():
        console.print(f"  {label:{LABEL}}{text}")
    _print_differences(console, found.differences)


def _print_differences(console: Console, differences: Iterable[Difference]) -> None:
    """Print what matters in full, and of the rest what there is."""
    rest = [each for each in differences if not each.decisive]
    for each in differences:
        if each.decisive:
            values = f": {each.one} | {each.other}" if each.one or each.other else ""
            console.print(f"  {each.kind}: {each.what}{values}", markup=False)
    if rest:
        names = ", ".join(each.what for each in rest[:NAMED])
        names += f" and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
        console.print(f"  differs too, without effect on a result: {names}", markup=False)


def _common(certificates: Sequence[Certificate]) -> list[Difference]:
    """Return each difference once, however many runs it is true of."""
    return list(dict.fromkeys(each for found in certificates for each in found.differences))


def _deviation(found: Deviation) -> str:
    return (
        f"epoch {found.epoch} in {found.metric}: {found.recorded:.9g} | {found.found:.9g} "
        f"(off by {found.size:.1e})"
    )
