"""What the metadata promises: imports are declared, entry points open, floors agree with what was tested."""

import ast
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
# Where a package is imported by another name than it is installed by.
INSTALLED_AS = {"PIL": "pillow", "sklearn": "scikit-learn", "umap": "umap-learn"}


def metadata(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def sources(folder):
    wheel = metadata(folder)["tool"]["hatch"]["build"]["targets"]["wheel"]
    for path in (folder / name for name in wheel.get("packages", wheel.get("only-include"))):
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path):
    """Packages that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def requirements(folder):
    project = metadata(folder)["project"]
    extras = project.get("optional-dependencies", {}).values()
    return [Requirement(line) for line in (*project["dependencies"], *(line for lines in extras for line in lines))]


@pytest.fixture(params=PROJECTS, ids=lambda folder: metadata(folder)["project"]["name"])
def project(request):
    return request.param


def test_every_import_is_declared(project):
    own = {path.relative_to(project).parts[0].removesuffix(".py") for path in sources(project)}
    found = {name for path in sources(project) for name in imported(path)} - own - sys.stdlib_module_names
    needed = {INSTALLED_AS.get(name, name).replace("_", "-") for name in found}
    assert needed <= {requirement.name for requirement in requirements(project)}


def test_every_entry_point_opens(project):
    facts = metadata(project)["project"]
    groups = {"console_scripts": facts.get("scripts", {}), **facts["entry-points"]}
    for group, entries in groups.items():
        for name, value in entries.items():
            assert callable(EntryPoint(name, value, group).load())


def test_every_floor_is_below_the_version_the_tests_ran_with(project):
    pins = {pin.name: pin for pin in map(Requirement, metadata(ROOT)["tool"]["uv"]["constraint-dependencies"])}
    for requirement in requirements(project):
        if requirement.name != "iin-cli":
            assert requirement.specifier, f"{requirement.name} has no floor"
            (tested,) = pins[requirement.name].specifier
            assert requirement.specifier.contains(tested.version), requirement


def test_a_plugin_has_the_floors_of_the_package(project):
    floors = {requirement.name: requirement.specifier for requirement in requirements(ROOT)}
    for requirement in requirements(project):
        assert requirement.specifier == floors.get(requirement.name, requirement.specifier), requirement


def test_who_says_typed_is_marked_so(project):
    said = "Typing :: Typed" in metadata(project)["project"].get("classifiers", ())
    assert said == any((path.parent / "py.typed").is_file() for path in sources(project))
