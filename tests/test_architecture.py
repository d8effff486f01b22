"""The arrows between the modules point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "nnlab"
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path, *, top_level_only=False):
    """Names of all modules that a file imports, inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "nnlab":
                found |= {f"nnlab.{alias.name}" for alias in node.names}
    return found


def importers(library, **options):
    return {
        name_of(path)
        for path in MODULES
        if any(each.split(".")[0] == library for each in imports_of(path, **options))
    }


@pytest.mark.parametrize("module", ["network", "init"])
def test_the_maths_imports_numpy_and_itself_alone(module):
    outside = {
        each.split(".")[0]
        for each in imports_of(PACKAGE / f"{module}.py")
        if each.split(".")[0] not in sys.stdlib_module_names
    }
    assert outside <= {"numpy", "nnlab"}
    inside = {each for each in imports_of(PACKAGE / f"{module}.py") if each.startswith("nnlab")}
    assert inside <= {"nnlab.network"}


def test_each_heavy_library_has_its_own_few_modules():
    assert importers("mlflow") <= {
        "nnlab.tracking",
        "nnlab.connection",
        "nnlab.store",
        "nnlab.database",
        "nnlab.serving",  # writes MLflow's model format into a folder; knows no store and no run
    }
    assert importers("hydra") | importers("omegaconf") <= {
        "nnlab.app",
        "nnlab.compose",
        "nnlab.config",
        "nnlab.launcher",
        "nnlab.resolvers",
    }
    assert all(name.startswith("nnlab.plots") for name in importers("matplotlib"))


def test_mlflow_is_imported_only_when_it_is_needed():
    tops = {
        name_of(path)
        for path in MODULES
        if any(each.startswith("mlflow") for each in imports_of(path, top_level_only=True))
    }
    assert tops == set()


def test_the_code_that_models_carry_knows_nothing_of_nnlab_or_mlflow():
    known = {each.split(".")[0] for each in imports_of(PACKAGE / "served_model.py")}
    assert known - sys.stdlib_module_names == {"numpy"}


def test_the_engine_does_not_know_the_tracker_the_config_or_hydra():
    for module in (
        "engine",
        "passes",
        "minibatches",
        "training_data",
        "blocks",
        "history",
        "worker",
    ):
        known = {each for each in imports_of(PACKAGE / f"{module}.py") if each.startswith("nnlab")}
        assert known <= {
            "nnlab",
            "nnlab.blas",
            "nnlab.blocks",
            "nnlab.data",
            "nnlab.engine",
            "nnlab.first_layer",
            "nnlab.history",
            "nnlab.layout",
            "nnlab.minibatches",
            "nnlab.network",
            "nnlab.passes",
            "nnlab.training_data",
            "nnlab.workspace",
        }, module


def test_a_worker_loads_neither_hydra_nor_mlflow_nor_matplotlib_nor_pandas():
    code = (
        "import sys, nnlab.worker\n"
        "print({'hydra', 'omegaconf', 'pydantic', 'mlflow', 'matplotlib', 'pandas', 'rich'}"
        " & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "set()"


def test_no_module_imports_in_a_circle():
    graph = {
        name_of(path): {each for each in imports_of(path) if each.startswith("nnlab.")}
        for path in MODULES
        if "plots" not in path.parts
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
