"""No module imports itself by way of others, not even inside a function or for its types."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "iin_cli"


def dotted(path):
    parts = ["iin_cli", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, known):
    """The modules of `known` that a file imports, wherever in the file."""
    package = ["iin_cli", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield from {f"{base}.{alias.name}"} & known or {base} & known


def test_there_is_no_import_circle():
    modules = {dotted(path): path for path in PACKAGE.rglob("*.py")}
    graph = {name: set(imported(path, set(modules))) - {name} for name, path in modules.items()}
    assert "iin_cli.backbones.recipes" in graph["iin_cli.backbones.classifier"]
    # Raises CycleError, which names the circle.
    TopologicalSorter(graph).prepare()
