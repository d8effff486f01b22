"""The bits of ``dtype=exact`` elsewhere: other NumPys, other BLAS libraries, another processor.

``python benchmarks/exact_bits.py`` compares the digests of ``tests/support/exact_cases.py`` with
those that ``tests/training/test_exact_bits.py`` holds, and prints a table in Markdown:

- with the oldest and the newest NumPy that pyproject.toml allows, from the package registry, each
  in a virtual environment of its own;
- with Debian's NumPy on its reference BLAS, on BLIS, on ATLAS and on OpenBLAS, for x86-64, and on
  Intel's MKL, from the package registry;
- with the same, without MKL, for ARM (aarch64), under QEMU.

Beside them stands the digest of a plain product in float64, which shows whether something else
computes.

Debian's packages are downloaded with apt's own client and lists of their own, and unpacked into a
folder: nothing is installed. What cannot be had is left out, with the reason. Only part of it:
``--only arm64 --blas libblis4-serial``. Needs Linux on x86-64; apt for Debian's part.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "tests" / "support" / "exact_cases.py"
NUMPYS = ("2.1.0", "")  # the oldest one that is allowed; the newest one that there is
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
LOADERS = {"amd64": "lib64/ld-linux-x86-64.so.2", "arm64": "lib/ld-linux-aarch64.so.1"}
PACKAGES = ("python3-numpy", "python3-threadpoolctl", "liblapack3")
BLAS = {  # Debian's packages -> the folder of their libblas.so.3
    "libblas3": "blas", "libblis4-serial": "blis-serial", "libatlas3-base": "atlas",
    "libopenblas0-pthread": "openblas-pthread",
}  # fmt: skip
SAYS = """
import hashlib, platform, numpy as np, threadpoolctl
blas = [f"{each['internal_api']} {each['version']} {each.get('architecture', '')}".strip()
        for each in threadpoolctl.threadpool_info()]
rng = np.random.default_rng(0)
product = rng.random((10, 784)) @ rng.random((784, 1000))
print(", ".join([f"NumPy {np.__version__}", f"Python {platform.python_version()}", *blas]), end="|")
print(hashlib.sha256(product.tobytes()).hexdigest()[:8], end="")
"""
Command = tuple[list[str], dict[str, str]]  # a Python, and its environment


class Unavailable(Exception):  # noqa: N818 - no fault
    """Something cannot be had here."""


def main() -> None:
    """Try all of it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("numpy", *TRIPLETS), help="only this part")
    parser.add_argument("--cache", type=Path, help="a folder to keep Debian's packages in")
    parser.add_argument("--blas", choices=BLAS, help="only this one of Debian's libraries")
    options = parser.parse_args()
    libraries = {options.blas: BLAS[options.blas]} if options.blas else BLAS
    expected, same = digests_of_the_tests(), True
    print("| where | what computes | a plain product | digests of `exact` |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        cache = options.cache or Path(folder)
        for part in ("numpy", *TRIPLETS):
            if options.only in (None, part):
                pythons = (
                    numpys(Path(folder)) if part == "numpy" else debian(part, cache, libraries)
                )
                for where, command in pythons:
                    same &= report(where, command, expected)
    sys.exit(0 if same else 1)


def digests_of_the_tests() -> dict[str, str]:
    """Read the constants that the tests hold."""
    tree = ast.parse((ROOT / "tests" / "training" / "test_exact_bits.py").read_text("utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DIGESTS"
    )
    return ast.literal_eval(value)


def report(where: str, command: Command | Unavailable, expected: dict[str, str]) -> bool:
    """Print a row; return whether nothing differs."""
    if isinstance(command, Unavailable):
        print(f"| {where} | | | not tried: {command} |", flush=True)
        return True
    words, variables = command
    try:
        says, product = run([*words, "-c", SAYS], variables).split("|")
        found = json.loads(run([*words, str(CASES)], variables))
    except Unavailable as reason:
        print(f"| {where} | | | **fails: {reason}** |", flush=True)
        return False
    other = [name for name in expected if found.get(name) != expected[name]]
    result = f"all {len(expected)} equal" if not other else f"**different: {', '.join(other)}**"
    print(f"| {where} | {says} | {product} | {result} |", flush=True)
    return not other


def run(words: list[str], variables: dict[str, str] | None = None) -> str:
    """Run a command; return what it printed."""
    done = subprocess.run(
        words, env={**os.environ, **(variables or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"`{Path(words[0]).name}`: {lines[-1] if lines else done.returncode}")
    return done.stdout


def numpys(folder: Path) -> Iterator[tuple[str, Command | Unavailable]]:
    """Make a virtual environment with each NumPy."""
    for version in NUMPYS:
        where = f"NumPy {version or 'newest'}, from the registry"
        place = folder / f"numpy{version}"
        venv.create(place, with_pip=True)
        python = str(place / "bin" / "python")
        try:
            wanted = f"numpy=={version}" if version else "numpy"
            run([python, "-m", "pip", "install", "-q", wanted, "threadpoolctl"])
        except Unavailable as reason:
            yield where, reason
        else:
            yield where, ([python], {"PYTHONPATH": str(ROOT)})


def debian(
    architecture: str, cache: Path, blas: dict[str, str]
) -> Iterator[tuple[str, Command | Unavailable]]:
    """Unpack Debian's Python, NumPy and BLAS libraries for an architecture."""
    machine = "x86-64" if architecture == "amd64" else "ARM (aarch64) under QEMU"
    root = cache / architecture
    try:
        unpack(architecture, root, [*PACKAGES, *blas])
        emulator = emulated(cache) if architecture == "arm64" else None
    except Unavailable as reason:
        yield f"Debian, {machine}", reason
        return
    libraries = root / "usr" / "lib" / TRIPLETS[architecture]
    for package, name in blas.items():
        where = f"Debian's {package}, {machine}"
        words, variables = debians_python(architecture, root, [libraries / name])
        command = ([*([emulator] if emulator else []), *words], variables)
        there = (libraries / name / "libblas.so.3").exists()
        yield where, command if there else Unavailable("the package has no library")
    if architecture == "amd64" and blas is BLAS:
        where = "Debian's NumPy on MKL from the registry, x86-64"
        try:
            yield where, debians_python(architecture, root, mkl(cache / "mkl"))
        except Unavailable as reason:
            yield where, reason


def debians_python(architecture: str, root: Path, blas: list[Path]) -> Command:
    """Return the command of Debian's Python, with the folders of a BLAS library before others."""
    triplet = TRIPLETS[architecture]
    libraries = root / "usr" / "lib" / triplet
    folders = [*blas, libraries / "lapack", libraries, root / "lib" / triplet]
    loader = [str(root / LOADERS[architecture]), "--library-path", ":".join(map(str, folders))]
    return [*loader, str(root / "usr/bin/python3")], {
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": f"{ROOT}:{root / 'usr/lib/python3/dist-packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MKL_THREADING_LAYER": "SEQUENTIAL",
    }


def mkl(folder: Path) -> list[Path]:
    """Install Intel's MKL; return the folders in which it is ``libblas.so.3``, and its own."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--prefix", str(folder)]
    run([*pip, "mkl"])
    (folder / "as_blas").mkdir(exist_ok=True)
    link = folder / "as_blas" / "libblas.so.3"
    link.unlink(missing_ok=True)
    link.symlink_to(next((folder / "lib").glob("libmkl_rt.so.*")))
    return [link.parent, folder / "lib"]


def emulated(cache: Path) -> str:
    """Return the path of QEMU's program for ARM."""
    unpack("amd64", cache / "qemu", ["qemu-user-static"])
    return str(cache / "qemu" / "usr" / "bin" / "qemu-aarch64-static")


def unpack(architecture: str, root: Path, packages: list[str]) -> None:
    """Download packages with all that they need, and unpack them into a folder."""
    if (root / "usr").exists():
        return
    for part in ("lists/partial", "archives/partial"):
        (root / "apt" / part).mkdir(parents=True, exist_ok=True)
    (root / "apt" / "status").touch()
    settings = {
        "APT::Architecture": architecture, "APT::Architectures": architecture,
        "Dir::State::lists": root / "apt/lists", "Dir::State::status": root / "apt/status",
        "Dir::Cache::archives": root / "apt/archives", "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "", "APT::Sandbox::User": "", "Debug::NoLocking": "true",
        "APT::Install-Recommends": "false",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    try:
        run([*apt, "update"])
        run([*apt, "-y", "--download-only", "install", *packages])
        for package in sorted((root / "apt" / "archives").glob("*.deb")):
            run(["dpkg", "-x", str(package), str(root)])
    except FileNotFoundError as error:
        raise Unavailable(f"there is no {error.filename} here") from error


if __name__ == "__main__":
    main()
