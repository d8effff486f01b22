"""The modules of nnlab, and what each of them imports, from their source."""

import ast

from support.paths import ROOT

PACKAGE = ROOT / "nnlab"
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    """The dotted name of a module, from its path."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path, *, top_level_only=False):
    """The dotted names that a file imports, also inside functions and for annotations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names
