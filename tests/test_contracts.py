"""What the layout promises: imports point down, help and README agree with the commands, no heavy import too early."""

import ast
import importlib
import re
import shlex
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import typer

from iin_cli.cli import COMMANDS, GROUPS, add_plugin_commands, app
from iin_cli.io import checkpoint

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "iin_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)]
MEASURES = ("audit", "responses", "explanation", "embedding", "counterfactuals")
# Every folder and every module beside them; what stands lower may not import what stands higher.
STOREYS = (
    ("errors", "progress", "printable", "stopping"),
    ("results", "batch_part", "class_names"),
    ("plugin_api", "failure_alarm", "hub"),
    ("io", "distributed", "translator", "cutting"),
    ("crew",),
    ("leading",),
    ("guests",),
    ("registry",),
    ("packaged_weights", "upkeep"),
    ("plan", "latents", "training", "data", "backbones", "concepts", "metrics", "figures"),
    ("acceleration",),
    ("interpretation",),
    ("editing", "sizing"),
    (
        "fitting",
        "fid",
        "measures",
        "measures/audit",
        "measures/responses",
        "measures/explanation",
        "measures/embedding",
    ),
    # Finds the nearest real images as explanations do.
    ("measures/counterfactuals",),
    # Says how likely an edit is as counterfactuals do.
    ("measures/edited",),
    ("report", "publishing", "explorer"),
    ("api",),
    ("sklearn",),
    ("commands",),
    tuple(f"commands/{group}" for group in GROUPS if group != "start"),
    # The demo calls other commands.
    ("commands/start",),
    ("cli",),
    tuple(f"cli/{group}" for group in GROUPS),
    ("__main__",),
)
RANKS = {room: rank for rank, storey in enumerate(STOREYS) for room in storey}
LARGEST_SHARE, MOST_FILES = 0.15, 20
HEAVY = (
    "torch",
    "torchvision",
    "numpy",
    "matplotlib",
    "sklearn",
    "safetensors",
    "PIL",
    "scipy",
    "pytorch_fid",
    "jinja2",
)


def dotted(path):
    return str(path.relative_to(PACKAGE))


@pytest.fixture(params=MODULES, ids=dotted)
def module(request):
    return request.param


def room(path):
    """The folder a module is in, or the module itself where it stands beside the folders."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(parts[:-1]) or parts[0]


def modules_imported(path):
    """Modules of this package that a file imports, wherever in the file."""
    package = ["iin_cli", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "iin_cli" and len(name) > 1:
                yield file_of(name[1:])


def file_of(name):
    """The file in which a dotted name is found; the last word may be a name that it defines."""
    for parts in (name, name[:-1]):
        for file in (PACKAGE.joinpath(*parts).with_suffix(".py"), PACKAGE.joinpath(*parts, "__init__.py")):
            if parts and file.is_file():
                return file
    return PACKAGE / "__init__.py"


def test_imports_point_down(module):
    if module == PACKAGE / "__init__.py":
        return
    here = room(module)
    for file in modules_imported(module):
        there = room(file)
        assert there == here or RANKS[there] < RANKS[here], f"{dotted(module)} imports {dotted(file)}"
        # Built-ins come in by the guests' door.
        assert there == here or there not in ("backbones", "concepts"), f"{dotted(module)} goes round the registry"


def test_no_imports_go_in_a_circle():
    graph = {module: set(modules_imported(module)) - {module} for module in MODULES}
    while leaves := [module for module, needs in graph.items() if not needs & set(graph)]:
        for module in leaves:
            del graph[module]
    assert not graph, sorted(map(dotted, graph))


def test_no_folder_is_a_room_for_everything():
    lines = {module: len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    for folder in {module.parent for module in MODULES}:
        here = [module for module in MODULES if module.parent == folder]
        assert len(here) <= MOST_FILES, folder
        below = [module for module in MODULES if folder in module.parents]
        if folder != PACKAGE:
            assert sum(lines[module] for module in below) <= LARGEST_SHARE * sum(lines.values()), folder


def test_the_import_test_sees_imports():
    seen = {room(file) for file in modules_imported(PACKAGE / "interpretation" / "opening.py")}
    assert {"errors", "io", "registry", "translator"} <= seen


def test_a_module_says_what_it_is_for_and_what_it_offers(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    if module.name.startswith("_"):
        return
    (offered,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__"
    ]
    defined = {name for node in tree.body for name in names_bound(node)}
    assert offered == sorted(set(offered), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert set(offered) <= defined


def names_bound(node):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    return []


def test_rooms_never_print_exit_or_assert(module):
    # What ends the program at a signal belongs to the command line, which is not imported yet when it is needed.
    if room(module) in ("cli", "__main__", "stopping"):
        return
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"{dotted(module)}:{node.lineno} asserts"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "exit", "sys.exit", "os._exit"), f"{dotted(module)}:{node.lineno}"


def test_files_and_functions_stay_readable():
    lengths = {dotted(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert max(lengths.values()) <= 400, max(lengths, key=lengths.get)
    assert statistics.median(lengths.values()) <= 200
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                # Arguments and docstring are as long as they must be; what is done is not.
                start = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                assert node.end_lineno - start.lineno < 60, f"{dotted(path)}: {node.name}"


def test_help_lists_every_command_without_heavy_imports():
    program = (
        "import sys; from iin_cli.cli import main; sys.argv = ['iin', '--help']\n"
        "try: main()\n"
        f"finally: print('loaded:', *(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.split() == ["loaded:"]
    for name in COMMANDS:
        assert re.search(rf"^\W*{name}\s", done.stdout, re.MULTILINE), name


def test_describing_a_checkpoint_imports_no_torch(tmp_path):
    checkpoint.save(tmp_path / "x.safetensors", {"a": torch.ones(1)}, {"kind": "statistics"})
    program = (
        f"import sys; from iin_cli.cli import main; sys.argv = ['iin', 'info', {str(tmp_path)!r}]\n"
        "try: main()\n"
        "finally: print('loaded:', *({'torch', 'PIL', 'matplotlib', 'scipy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.split()) == (0, ["loaded:"])
    assert "statistics" in done.stdout


def test_what_draws_nothing_imports_no_drawing():
    rooms = ("io", "translator", "data", "concepts", "metrics", "figures")
    names = [
        ".".join(("iin_cli", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in MODULES
        if room(path) in rooms
    ]
    program = f"import sys, importlib; [importlib.import_module(name) for name in {names!r}]\n"
    program += "print(*({'matplotlib', 'sklearn', 'scipy', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_every_command_has_a_heading_and_a_line_that_fits():
    add_plugin_commands()
    group = typer.main.get_command(app)
    done = subprocess.run([sys.executable, "-m", "iin_cli", "--help"], capture_output=True, text=True)
    headings = [heading for heading, _ in GROUPS.values()]
    assert [line[:-1] for line in done.stdout.splitlines() if line[:-1] in headings] == headings
    for name, command in group.commands.items():
        line = command.get_short_help_str(limit=1000)
        assert len(line) <= 60, name
        assert not line.endswith(("…", "...")), name


def test_the_module_runs_and_agrees_with_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = subprocess.run([sys.executable, "-m", "iin_cli", "--version"], capture_output=True, text=True)
    assert done.stdout == f"iin {version}\n"
    newest = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == version


def options_of(command):
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def check_line(line):
    """A line of shell that begins with `iin`: its command exists, and so do its options."""
    words = shlex.split(line.split(" | ")[0], comments=True)
    add_plugin_commands()
    commands = typer.main.get_command(app).commands
    if len(words) == 1 or words[1].startswith("-"):
        return
    assert words[1] in commands, line
    known = options_of(commands[words[1]]) | {"--help", "-h"}
    for word in words[2:]:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_examples_that_can_be_typed(name):
    text = typer.main.get_command(app).commands[name].callback.__doc__
    examples = [line.strip() for line in text.partition("Examples:")[2].splitlines() if line.strip().startswith("iin ")]
    assert examples
    for line in examples:
        assert line.split()[1] == name
        check_line(line)


def test_the_readme_mentions_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert re.search(rf"\biin {name}\b|`{name}\b", text), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_show_no_command_that_is_not_there(page):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|bash|console|shell|\{code-cell\})?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    typed = [line for line in lines if line.startswith("iin ")]
    for line in typed:
        check_line(line)
    assert typed or page.name not in ("README.md", "start.md", "reading.md")


def test_entry_points_lead_somewhere():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    for points in groups.values():
        for target in points.values():
            # Imported, since a module may make what it is asked for.
            file, name = target.split(":")
            assert callable(getattr(importlib.import_module(file), name)), target


def test_no_file_holds_the_address_of_a_package_registry():
    # Written apart, so that this file does not hold them either.
    hosts = [
        ".".join(words) for words in (("pypi", "org"), ("files", "pythonhosted", "org"), ("conda", "anaconda", "org"))
    ]
    folders = ("iin_cli", "tests", "benchmarks", "docs", "plugins", ".ci")
    kept = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    kept += [path for path in ROOT.iterdir() if path.name != "uv.lock"]
    for path in kept:
        if path.suffix in (".py", ".toml", ".md", ".txt", ".cfg", ".yml", ".ipynb", ".j2", "") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [host for host in hosts if host in text], path
