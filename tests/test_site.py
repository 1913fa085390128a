"""The site in `docs/`: its generated parts say what there is, its links lead somewhere, its figures are well kept."""

import datetime
import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import typer

import iin_cli
from iin_cli.cli import COMMANDS, add_plugin_commands, app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [page for page in (*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")) if "_build" not in page.parts]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def module_at(path):
    """A module of no package, by its file."""
    spec = importlib.util.spec_from_file_location(f"site_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference():
    return module_at(DOCS / "extensions" / "cli_reference.py").cli_reference()


def test_the_readme_is_short_and_shows_a_picture():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert re.search(r"^!\[[^\]]+\]\(docs/pictures/[\w-]+\.png\)$", text, re.MULTILINE)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target
    for name in re.findall(r"\]\(#figures-(\w+)\)", text):
        assert (ROOT / "benchmarks" / "results" / f"{name}.json").exists(), name


def test_every_page_is_in_the_table_of_contents():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = {line for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL) for line in block.splitlines()}
    assert {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES} - {"index"} <= listed


def test_the_reference_has_every_command_with_every_option(reference):
    add_plugin_commands()
    commands = typer.main.get_command(app).commands
    sections = dict(re.findall(r"^### iin (\S+)\n(.*?)(?=^##|\Z)", reference, re.MULTILINE | re.DOTALL))
    assert {*COMMANDS} <= set(sections) == set(commands)
    for name, section in sections.items():
        terms = re.findall(r"^`([^`]+)`$", section, re.MULTILINE)
        for parameter in commands[name].params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert any(set(parameter.opts) <= set(re.split(r"[ ,]+", term)) for term in terms), parameter.opts


def test_the_reference_says_what_help_says(reference):
    section = reference.partition("### iin swap\n")[2]
    assert "iin swap -t t.safetensors -f color --target cat.jpg --source dog.jpg --out cat-as-dog.png\n" in section
    assert "`-f, --factor NAME`\n: A factor of the translator; repeat for several." in section


def test_every_public_name_has_its_entry():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    described = re.findall(r"^\.\. auto\w+:: iin_cli\.(\w+)$", text, re.MULTILINE)
    assert sorted(described) == sorted(iin_cli.__all__)


def test_every_contract_of_plugins_has_its_entry():
    contracts = importlib.import_module("iin_cli.plugin_api")
    text = (DOCS / "plugins.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\.\. auto(?:class|function):: (\w+)$", text, re.MULTILINE))
    made_there = {
        name for name in contracts.__all__ if getattr(getattr(contracts, name), "__module__", "") == contracts.__name__
    }
    assert made_there <= described


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_a_kept_result_says_when_where_and_how(file):
    result = json.loads(file.read_text(encoding="utf-8"))
    assert set(result) == {"title", "order", "scripts", "commands", "date", "machine", "parts"}
    datetime.date.fromisoformat(result["date"])
    assert result["title"]
    assert result["machine"]
    assert result["commands"]
    for script in result["scripts"]:
        assert (ROOT / "benchmarks" / script).is_file()
    assert result["parts"]
    for part in result["parts"]:
        if "text" not in part:
            assert set(part["align"]) <= {"left", "right"}
            assert {len(part["columns"])} == {len(part["align"]), *map(len, part["rows"])}


def test_every_kept_result_is_on_one_page():
    texts = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.suffix == ".md")
    assert len(re.findall(r"^% generated: figures$", texts, re.MULTILINE)) == 1
    alone = re.findall(r"^% generated: figures (\w+)$", texts, re.MULTILINE)
    (left_out,) = re.findall(
        r"ELSEWHERE = frozenset\((\{.*?\})\)", (DOCS / "extensions" / "pages.py").read_text(encoding="utf-8")
    )
    assert set(alone) == set(json.loads(left_out.replace("{", "[").replace("}", "]")))


def test_what_a_benchmark_prints_is_kept_as_it_is():
    figures, keep = module_at(DOCS / "extensions" / "figures.py"), module_at(ROOT / "benchmarks" / "keep.py")
    printed = "Words above.\n\n| a | b |\n|---|---:|\n| x | **0.50** (missed) |\n| y | |\n\n2 cores, 2026-11-26\n"
    words, table, machine = keep.parts_of(printed)
    assert (words["text"], machine["text"]) == ("Words above.", "2 cores, 2026-11-26")
    assert table == {"columns": ["a", "b"], "align": ["left", "right"], "rows": [["x", "**0.50** (missed)"], ["y", ""]]}
    (again,) = keep.parts_of(figures.table(table))
    assert again == table
