"""Certificates and explanations on the terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.markup import escape

from nnlab.analysis.terminal import SafeConsole
from nnlab.reproduction.certificate import Certificate, Deviation
from nnlab.reproduction.differences import Difference
from nnlab.reproduction.explanation import Explanation
from nnlab.tracking.locations import uri_option

COLOURS = {"bit-identical": "green", "within tolerance": "yellow", "different": "red"}
LABEL_WIDTH = 16  # columns
VISIBLE = 1e-8  # a deviation of this size shows in nine digits
MAX_NAMED = 6  # differences without effect that are named


def print_certificates(certificates: Sequence[Certificate], uri: str | None) -> None:
    """Print certificates: one in full; several with a line each and a summary."""
    console = SafeConsole(soft_wrap=True)
    if len(certificates) == 1:
        _print_certificate(console, certificates[0], uri)
        return
    for certificate in certificates:
        colour = COLOURS[certificate.verdict]
        reasons, growth = [*certificate.causes], certificate.growth
        if growth is not None and growth.amplified_from is not None:
            reasons.append(f"amplified from epoch {growth.amplified_from} on")
        why = f"  ({', '.join(reasons)})" if reasons else ""
        console.print(
            f"{certificate.run[:8]}  made again as {certificate.reproduction[:8]}  "
            f"[{colour}]{certificate.verdict}[/]{escape(why)}  {escape(certificate.name)}"
        )
    counts = Counter[str](certificate.verdict for certificate in certificates)
    parts = [f"{counts[verdict]} {verdict}" for verdict in COLOURS if verdict in counts]
    console.print(f"\n{len(certificates)} runs: {', '.join(parts)}")
    causes = dict.fromkeys(cause for certificate in certificates for cause in certificate.causes)
    if causes:
        console.print(f"causes: {', '.join(causes)}")
    for expected in dict.fromkeys(certificate.expected for certificate in certificates):
        console.print(f"expected: {escape(expected)}")
    differences = (entry for certificate in certificates for entry in certificate.differences)
    _print_differences(console, dict.fromkeys(differences))


def print_explanation(explanation: Explanation) -> None:
    """Print what differs between two runs, and where their curves part."""
    console = SafeConsole(soft_wrap=True)
    for label, name, result in (("A", *explanation.one), ("B", *explanation.other)):
        console.print(f"[bold]{label}[/]  {escape(name)}  {escape(result)}")
    if not explanation.differences:
        console.print("nothing that was recorded of config, code, data or environment differs")
    _print_differences(console, explanation.differences)
    for line in explanation.patch:
        console.print(f"  {line}", markup=False)
    if explanation.first is None:
        console.print("the curves are the same, to the bit")
        return
    console.print(f"the curves part at {_difference(explanation.first)}")
    if explanation.largest is not None:
        console.print(f"furthest apart at {_difference(explanation.largest)}")
    if explanation.growth is not None and explanation.growth.amplified_from is not None:
        console.print(f"the losses part {explanation.growth}")


def _print_certificate(console: SafeConsole, certificate: Certificate, uri: str | None) -> None:
    console.print(f"[bold]certificate of {certificate.run[:8]}[/]  {escape(certificate.name)}")
    then, now = (digest[:12] for digest in certificate.weights_sha256)
    accuracies = [
        "none" if accuracy is None else f"{accuracy:.4f}" for accuracy in certificate.accuracy
    ]
    first = certificate.first
    equal = "all equal" if first is None else f"they part at {_described(first)}"
    lines = {
        "verdict": f"[{COLOURS[certificate.verdict]}]{certificate.verdict}[/]",
        "weights": f"SHA-256 {then}… recorded, {now}… found",
        "val accuracy": f"{accuracies[0]} recorded, {accuracies[1]} found",
        "metrics": f"{certificate.values} values: {equal}",
    }
    if certificate.largest is not None:
        lines["largest"] = _described(certificate.largest)
    if certificate.beyond is not None:
        lines[f"beyond {certificate.tolerance:g}"] = f"from {_described(certificate.beyond)}"
    if "record" in certificate.causes and first is None and then == now:
        lines["result"] = "as it was noted: what differs is the record, which was changed since"
    if certificate.growth is not None and str(certificate.growth):
        lines["losses part"] = str(certificate.growth)
    if certificate.causes:
        lines["cause"] = escape(", ".join(certificate.causes))
    store = escape(uri_option(uri))
    new = certificate.reproduction
    lines["expected"] = escape(certificate.expected)
    lines["logged as"] = f"{new}  (nnlab ui {new[:8]}{store})"
    for label, text in lines.items():
        console.print(f"  {label:{LABEL_WIDTH}}{text}")
    _print_differences(console, certificate.differences)


def _print_differences(console: SafeConsole, differences: Iterable[Difference]) -> None:
    """Print the decisive differences in full, and the names of the others."""
    others = []
    for difference in differences:
        if difference.decisive:
            one, other = difference.one, difference.other
            values = f": {one} | {other}" if one or other else ""
            console.print(f"  {difference.kind}: {difference.what}{values}", markup=False)
        else:
            others.append(difference.what)
    if others:
        names = ", ".join(others[:MAX_NAMED])
        names += f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
        console.print(f"  differs too, without effect on a result: {names}", markup=False)


def _described(deviation: Deviation) -> str:
    return f"{_values(deviation)} (off by {deviation.size:.1e})"


def _difference(deviation: Deviation) -> str:
    return f"{_values(deviation)} (B - A = {deviation.difference:+.3g})"


def _values(deviation: Deviation) -> str:
    digits = ".9g" if abs(deviation.size) > VISIBLE else ".17g"
    values = f"{deviation.recorded:{digits}} | {deviation.found:{digits}}"
    return f"epoch {deviation.epoch} in {deviation.metric}: {values}"
