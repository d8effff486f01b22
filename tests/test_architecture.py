"""Each package imports only packages below it, and heavy libraries stay in their place."""

import ast
import sys
from pathlib import Path

import pytest
from support.commands import python
from support.modules import MODULES, PACKAGE, imports_of, name_of

# A part may import those of a lower rank, and itself.
RANKS = {
    "safe_text": -2, "wording": -2, "errors": -1, "interrupts": 0, "arrays": 0, "system": 0.5,
    "data": 1, "plots": 1, "training": 2, "jobs": 3, "tracking": 4, "analysis": 5, "execution": 6,
    "reproduction": 7, "transfer": 8, "api": 8.5, "launcher": 9, "search": 10, "app": 11, "cli": 12,
    "__main__": 13,
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_imports_only_packages_below_its_own(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own == "__init__":
        return
    parts = {name.split(".")[1] for name in imports_of(path) if name.startswith("nnlab.")}
    parts -= {own, "__version__"}
    assert {part for part in parts if RANKS[part] >= RANKS[own]} == set()


@pytest.mark.parametrize(
    "package", sorted(p.parent for p in PACKAGE.glob("*/__init__.py")), ids=lambda path: path.name
)
def test_each_package_says_what_lives_there_and_what_it_may_import(package):
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert "Imports" in ast.get_docstring(tree)
    assert len(tree.body) == 1  # names have one place, not two


def importers(library, **options):
    return {
        name_of(path)
        for path in MODULES
        if any(each.split(".")[0] == library for each in imports_of(path, **options))
    }


def test_each_heavy_library_has_its_own_package():
    assert {name.split(".")[1] for name in importers("mlflow")} == {"tracking"}
    assert importers("hydra") | importers("omegaconf") <= {
        "nnlab.app",
        "nnlab.jobs.hydra_errors",
        "nnlab.launcher",
        "nnlab.search.sweeper",
        "nnlab.jobs.compose",
        "nnlab.jobs.grid",
        "nnlab.jobs.words",
        "nnlab.jobs.resolvers",
        "nnlab.search.space",
    }
    assert {name.split(".")[1] for name in importers("matplotlib")} == {"plots"}
    assert importers("mlflow", top_level_only=True) == set()


def test_only_the_recorder_and_reuse_write_what_became_of_a_run():
    writers = {
        path.stem
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if ast.unparse(node.value) in ("state", "run.state")
    }
    assert writers == {"recorder", "reuse"}


def test_the_maths_imports_numpy_alone():
    for module in ("network", "initializers"):
        roots = {each.split(".")[0] for each in imports_of(PACKAGE / "training" / f"{module}.py")}
        assert roots - sys.stdlib_module_names <= {"numpy", "nnlab"}


def test_the_code_that_models_carry_knows_nothing_of_nnlab_or_mlflow():
    known = {each.split(".")[0] for each in imports_of(PACKAGE / "tracking" / "served_model.py")}
    assert known - sys.stdlib_module_names == {"numpy"}


def test_a_worker_loads_neither_hydra_nor_mlflow_nor_matplotlib_nor_pandas():
    code = (
        "import sys, nnlab.training.segments\n"
        "print({'hydra', 'omegaconf', 'pydantic', 'mlflow', 'matplotlib', 'pandas', 'rich'}"
        " & set(sys.modules))"
    )
    done = python("-c", code, check=True)
    assert done.stdout.strip() == "set()"


def test_no_module_imports_in_a_circle():
    names = {name_of(path) for path in MODULES}
    graph = {
        name_of(path): {
            each if each in names else each.rpartition(".")[0]
            for each in imports_of(path)
            if each.startswith("nnlab.") and not each.endswith("__version__")
        }
        for path in MODULES
    }
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path, module])
        if module in done or module not in graph:
            return
        path.append(module)
        for other in graph[module]:
            visit(other)
        path.pop()
        done.add(module)

    for module in graph:
        visit(module)


def test_no_module_is_a_drawer_for_odds_and_ends():
    names = {Path(path).stem for path in MODULES}
    assert not names & {"utils", "util", "helpers", "common", "misc"}
