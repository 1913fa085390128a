"""What the site does beside Sphinx: generated parts of pages, cells of shell, and mathematics without a script."""

from __future__ import annotations

import re
from typing import Any

from cli_reference import cli_reference
from docutils import nodes
from docutils.utils.math.latex2mathml import MathError, tex2mathml
from figures import all_results, one_result
from sphinx.application import Sphinx
from sphinx.util import logging

__all__ = ["setup"]

LOGGER = logging.getLogger(__name__)
# A line of a page that is replaced: `% generated: cli`, `% generated: figures`, `% generated: figures trust`.
MARK = re.compile(r"^% generated: (\w+)(?: (\w+))?$", re.MULTILINE)
# Docutils sets the index of a letter with a tilde below the letter; it belongs beside it.
UNDER_TILDE = re.compile(
    r"<munderover>\s*(<mi>.</mi>)\s*(<(m\w+)>(?:(?!</\3>).)*</\3>)\s*(<mo[^>]*>~</mo>)\s*</munderover>", re.DOTALL
)
BESIDE_TILDE = r"<msub><mover accent='true'>\1\4</mover>\2</msub>"
ATTRIBUTES = re.compile(r"^    (\w+(?:, \w+)+): (.*)$")
# Shown on a page of its own, among what else was tried there.
ELSEWHERE = frozenset({"trust"})


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of it."""
    app.connect("source-read", fill)
    app.connect("doctree-read", name_shell_cells)
    app.connect("doctree-read", draw_dashes)
    # Before napoleon reads them.
    app.connect("autodoc-process-docstring", prepare_docstring, priority=1)
    app.add_html_math_renderer("mathml", (write_math, None), (write_equation, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put generated Markdown where a page asks for it."""
    source[0] = MARK.sub(lambda found: _generated(found[1], found[2]), source[0])


def _generated(what: str, name: str | None) -> str:
    if what == "cli":
        return cli_reference()
    return one_result(name) if name else all_results(ELSEWHERE)


def name_shell_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Show a cell that begins with `%%sh` as what it is: lines of shell."""
    for block in list(doctree.findall(nodes.literal_block)):
        text = block.astext()
        if text.startswith("%%sh\n"):
            shown = nodes.literal_block(text, text.removeprefix("%%sh\n"), language="sh")
            shown["classes"] = block["classes"]
            block.replace_self(shown)


def prepare_docstring(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Say in reStructuredText what docstrings of the house say in plain words."""
    if what == "property":
        # Else what stands before a colon would be taken for a type.
        lines[0] = lines[0].replace(": ", " – ")
    # A letter behind code, as in the plural of a name.
    for number, line in enumerate(lines):
        if line.count("`") % 2 == 0 and "``" not in line:
            lines[number] = re.sub(r"(`[^`]+`)([a-z]?)", lambda found: "\\ ".join(filter(None, found.groups())), line)
    if what == "module":
        # A colon before an indented block: the block is code.
        for number, (line, after) in enumerate(zip(lines, lines[2:], strict=False)):
            if line.endswith(":") and after.startswith("    "):
                lines[number] = f"{line}:"
    # Two attributes in one line have one description.
    pairs = [(number, ATTRIBUTES.match(line)) for number, line in enumerate(lines)]
    for number, found in reversed(pairs):
        if found and "Attributes:" in lines[:number]:
            lines[number : number + 1] = [f"    {each.strip()}: {found[2]}" for each in found[1].split(",")]


def draw_dashes(app: Sphinx, doctree: nodes.document) -> None:
    """Write the dash between an argument and what is said of it as a dash."""
    for text in list(doctree.findall(nodes.Text)):
        if text.startswith(" -- "):
            text.parent.replace(text, nodes.Text(f" – {text[4:]}"))


def write_math(writer: Any, node: nodes.math) -> None:
    """Write an expression as MathML, which browsers draw themselves."""
    writer.body.append(_mathml(node))
    raise nodes.SkipNode


def write_equation(writer: Any, node: nodes.math_block) -> None:
    """Write an equation of its own line as MathML."""
    writer.body.append(f'<div class="equation">{_mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.math | nodes.math_block, as_block: bool = False) -> str:
    try:
        return UNDER_TILDE.sub(BESIDE_TILDE, tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        LOGGER.warning("%s: %s", node.astext(), error, location=node)
        return ""
