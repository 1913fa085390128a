"""Whole reports of small networks: structure, escaping, failures, and what Chromium makes of the page."""

from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from iin_cli import data
from iin_cli.commands.read import report as recipe
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.io import checkpoint
from iin_cli.io.output import Figures
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.report import making as module
from iin_cli.report.page import Text
from iin_cli.report.subject import Effort

HOSTILE = "<script>alert(1)</script>"
# Nobody looks at these intervals.
QUICK = Effort(Resampling(20, 99), grid=3, walks=1, explained=1, edits=3)
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Structure(HTMLParser):
    """What a browser would have to forgive, and what it would be asked to load."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.texts = [], [], [], []
        self.tags, self.loaded, self.headings, self.alts = [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.loaded += [given[name] for name in ("src", "srcset", "data", "action") if name in given]
        self.loaded += [given["href"]] if not given.get("href", "#").startswith(("#", "data:")) else []
        self.faults += [name for name in given if name.startswith("on")]
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.faults.append(f"{tag} closes itself")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data):
        self.texts.append(data)


def structure(file):
    found = Structure()
    found.feed(file.read_text(encoding="utf-8"))
    found.close()
    return found


def report(translator, out, *, data=None, split="test", n=None, seed=0, **given):
    choice = DataChoice(data, None, split, n, seed)
    return recipe.report(translator, choice, out, effort=QUICK, **{"device": "cpu", **given})


@pytest.fixture(autouse=True)
def shared_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path_factory.getbasetemp() / "report-cache"))


@pytest.fixture(scope="module")
def hostile(files, tmp_path_factory):
    """A translator of a classifier that has a class and a factor with names nobody wants in a page."""
    folder = tmp_path_factory.mktemp("hostile")
    network = checkpoint.load(files.classifier)
    config = {
        **network.metadata["config"],
        "classes": [HOSTILE, '"><img src=x onerror=alert(2)>', "c & d", "&lt;", "e"],
    }
    classifier = folder / "backbone.safetensors"
    checkpoint.save(classifier, network.tensors, {**network.metadata, "config": config})
    translator = checkpoint.load(files.of_classes)
    factors = [{**factor} for factor in translator.metadata["factors"]]
    factors[1]["name"] = "<b>color</b>/.."
    backbone = {
        **translator.metadata["backbone"],
        "source": str(classifier.resolve()),
        "sha256": checkpoint.digest(classifier),
    }
    metadata = {**translator.metadata, "factors": factors, "backbone": backbone}
    checkpoint.save(folder / "translator.safetensors", translator.tensors, metadata)
    return folder / "translator.safetensors"


@pytest.fixture(scope="module")
def page(hostile, tmp_path_factory):
    folder, opened = tmp_path_factory.mktemp("page"), []
    load, find = checkpoint.load, data.find

    def counted_load(path, kind=None, *more):
        opened.append(kind)
        return load(path, kind, *more)

    def counted_find(group, name, *more):
        opened.append(group)
        return find(group, name, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IIN_CACHE", str(folder / "cache"))
        patch.setattr(checkpoint, "load", counted_load)
        patch.setattr(data, "find", counted_find)
        result = report(hostile, folder / "report.html", n=12, data="digits")
    return SimpleNamespace(file=folder / "report.html", result=result, opened=sorted(opened))


def test_a_classifiers_page_has_all_sections(page):
    assert page.result.made == tuple(title for title, _ in module.SECTIONS)
    # Neither the data nor the program knows this concept: that is said, and all else is there.
    assert list(page.result.failed) == ["Sizes of the factors: <b>color</b>/.."]
    assert page.result.bytes == page.file.stat().st_size < 4_000_000
    assert page.result.page == page.file.read_text(encoding="utf-8")
    assert set(page.result.as_dict()) >= {"out", "made", "failed", "seed", "n", "seconds"}
    assert len(page.result.tables()[0][1]) == 8


def test_translator_network_and_data_are_opened_once(page):
    assert page.opened == ["backbone", "datasets", "translator"]


def test_the_page_is_whole_and_needs_nothing_else(page):
    found = structure(page.file)
    assert (found.open, found.faults) == ([], [])
    assert all(address.startswith("data:image/") for address in found.loaded)
    assert len(found.loaded) >= 6
    assert all(found.alts)
    assert len(found.alts) == len(found.loaded)
    assert len(found.ids) == len(set(found.ids))
    assert not {"script", "iframe", "object", "embed", "form"} & set(found.tags)
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(found.headings, found.headings[1:], strict=False))


def test_hostile_names_are_names(page):
    text = "".join(structure(page.file).texts)
    assert HOSTILE in text
    assert '"><img src=x onerror=alert(2)>' in text
    assert "<b>color</b>/.." in text
    assert "<script" not in page.file.read_text(encoding="utf-8")


def test_the_page_holds_what_was_asked_for(page, hostile):
    text = "".join(structure(page.file).texts)
    metadata = checkpoint.describe(hostile)
    for words in (
        str(hostile.resolve()),
        checkpoint.digest(hostile),
        metadata["backbone"]["sha256"],
        "iin report ",
        "iin explain --translator ",
        "iin fit-translator --backbone ",
        "--seed 0",
        "flip rate",
        "At a glance",
    ):
        assert words in text, words


@pytest.mark.slow
def test_an_autoencoders_edits_are_drawn_and_equal_seeds_give_equal_pages(files, tmp_path, monkeypatch):
    shown = ("What was interpreted", "Factors swapped", "Walks")
    monkeypatch.setattr(module, "SECTIONS", tuple(part for part in module.SECTIONS if part[0] in shown))
    svg = Figures("svg")
    results = [report(files.of_images, tmp_path / f"{name}.html", n=8, seed=1, figures=svg) for name in "ab"]
    assert (results[0].made, results[0].failed) == (shown, {})
    found = structure(tmp_path / "a.html")
    assert (found.open, found.faults) == ([], [])
    # Three factors swapped; a line and three walks.
    assert len(found.alts) == 3 + 4
    assert sum(address.startswith("data:image/svg+xml;base64,") for address in found.loaded) == 3 + 4
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_section_that_breaks_says_why_and_the_rest_stands(heard, files, tmp_path, monkeypatch):
    def broken(subject):
        for _ in range(2):
            subject.report.warn("look & out")
        raise ArithmeticError("it does <not> add up")

    parts = (("Fine", lambda subject: [Text("all is well")]), ("Broken", broken), ("Fine too", lambda subject: []))
    monkeypatch.setattr(module, "SECTIONS", parts)
    result = report(files.of_classes, tmp_path / "r.html", report=heard)
    assert result.made == ("Fine", "Fine too")
    assert result.failed == {"Broken": "ArithmeticError: it does <not> add up"}
    found = structure(tmp_path / "r.html")
    assert (found.open, found.faults) == ([], [])
    text = "".join(found.texts)
    assert "This section could not be made: ArithmeticError: it does <not> add up" in text
    assert "Not everything could be made: Broken" in text
    assert text.count("Warning: look & out") == 1
    assert heard.warnings.count("look & out") == 1
    assert "all is well" in text


def test_an_interrupted_report_keeps_what_it_has_and_says_what_is_missing(files, tmp_path, monkeypatch):
    def interrupted(subject):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "SECTIONS", (("One", lambda subject: [Text("first result")]), ("Two", interrupted)))
    with pytest.raises(KeyboardInterrupt):
        report(files.of_classes, tmp_path / "r.html")
    text = "".join(structure(tmp_path / "r.html").texts)
    assert "first result" in text
    assert module.OUTSTANDING in text


def test_what_cannot_be_begun_is_an_error_and_leaves_nothing(files, tmp_path):
    (tmp_path / "taken.html").write_text("mine")
    for given, kind, words in (
        ({"out": tmp_path / "r.pdf"}, UsageError, "ends in .html"),
        ({"out": tmp_path / "folder"}, UsageError, "ends in .html"),
        ({"out": tmp_path / "taken.html"}, UsageError, "exists already"),
        ({"n": 2}, UsageError, "at least 3"),
        ({"split": "gone"}, UsageError, "gone"),
        ({"data": str(tmp_path / "nowhere")}, DataError, "nowhere"),
    ):
        with pytest.raises(kind, match=words):
            report(files.of_classes, **{"out": tmp_path / "r.html", **given})
    with pytest.raises(UsageError, match="without a backbone"):
        report(files.of_latents, tmp_path / "r.html")
    assert [file.name for file in tmp_path.iterdir()] == ["taken.html"]
    assert (tmp_path / "taken.html").read_text() == "mine"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chromium_shows_the_page_on_a_phone_without_a_fault(page, chromium, scheme):
    context = chromium.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    shown, said, asked = context.new_page(), [], []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("dialog", lambda dialog: said.append(dialog.message))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(page.file.as_uri())
    assert said == []
    assert [address for address in asked if not address.startswith("data:")] == [page.file.as_uri()]
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    # Nor does anything stick out that is merely cut off.
    outside = "e => e.getBoundingClientRect().right > 361 && !e.closest('.scroll')"
    assert shown.evaluate(f"[...document.querySelectorAll('body *')].filter({outside}).map(e => e.outerHTML)") == []
    # A stacked table needs no pushing, and its cells say what they are.
    stacked = "[...document.querySelectorAll('.stack')]"
    assert shown.evaluate(f"{stacked}.length") > 4
    assert shown.evaluate(f"{stacked}.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML)") == []
    assert shown.evaluate("getComputedStyle(document.querySelector('.stack td'), '::before').content") == '"verdict"'
    assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    colors = shown.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    brightness = [sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(","))) for color in colors]
    assert (brightness[0] > brightness[1]) == (scheme == "light")
    assert len(shown.screenshot()) > 10_000
    context.close()


def test_chromium_prints_the_page_dark_on_white(page, chromium):
    context = chromium.new_context(color_scheme="dark")
    shown = context.new_page()
    shown.goto(page.file.as_uri())
    shown.emulate_media(media="print")
    ink = shown.evaluate("getComputedStyle(document.body).color")
    assert sum(map(int, ink.removeprefix("rgb(").removesuffix(")").split(","))) < 200
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert shown.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert shown.evaluate("getComputedStyle(document.querySelector('.stack tr')).display") == "table-row"
    assert shown.pdf(format="A4")[:5] == b"%PDF-"
    context.close()
