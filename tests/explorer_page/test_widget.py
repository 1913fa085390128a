"""The widget of a notebook, in a browser of its own, with this process as its kernel."""

import sys

import pytest

import iin_cli as iin
from iin_cli.errors import NotInstalledError

pytestmark = pytest.mark.slow

PICTURE = "document.querySelector('#one').shadowRoot.querySelector('.{} img').src"
START = """async ({ script, facts }) => {
  const told = []
  const model = {
    get: (name) => facts[name],
    on: (_, hear) => told.push(hear),
    send: async (message) => { const answer = await ask(message); for (const hear of told) hear(answer) },
  }
  const { default: widget } = await import(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })))
  for (const id of ['one', 'two']) {
    const place = document.createElement('div')
    place.id = id
    document.body.append(place)
    widget.render({ model, el: place })
  }
}"""


@pytest.fixture
def widget(files, cache):
    pytest.importorskip("anywidget", reason="the extra `notebook` is not installed")

    def of(checkpoint, **given):
        return iin.load(checkpoint).explore(**given)

    return of


@pytest.fixture
def show(chromium, until):
    contexts = []

    def open_widget(widget):
        answers, said = [], []
        widget.send = answers.append

        def ask(message):
            widget._answer(None, message, None)
            return answers[-1]

        context = chromium.new_context()
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.expose_function("ask", ask)
        facts = {name: getattr(widget, name) for name in ("translator", "image", "shelf", "sheet")}
        page.evaluate(START, {"script": str(widget._esm), "facts": facts})
        until(page, "document.querySelector('#two').shadowRoot.querySelector('strong').textContent !== '–'")
        assert said == []
        return page

    yield open_widget
    for context in contexts:
        context.close()


def test_a_drag_in_a_notebook_changes_the_picture_of_that_view_alone(files, widget, show, until):
    page = show(widget(files.of_images, image="test:4"))
    pictures = "document.querySelector('#{}').shadowRoot.querySelector('.after img').src"
    first = page.evaluate(pictures.format("one"))
    assert first.startswith("data:image/png")
    assert page.evaluate(pictures.format("two")) == first
    page.locator("#one [data-factor=digit] canvas").click(position={"x": 20, "y": 20})
    until(page, f"{pictures.format('one')} !== {first!r}")
    assert page.evaluate(pictures.format("two")) == first
    page.locator("#one").get_by_role("button", name="Put back digit").click()
    until(page, f"{pictures.format('one')} === {first!r}")


def test_a_factor_is_taken_from_another_image_as_far_as_one_likes(files, widget, show, until):
    made, asked = widget(files.of_images, image="test:4"), []
    edit = made._explorer.edit
    made._explorer.edit = lambda body, ticket: asked.append(body) or edit(body, ticket)
    page = show(made)
    card = page.locator("#one [data-factor=color]")
    choice, strength = card.get_by_label("Take color from"), card.get_by_label("Strength of color")
    assert strength.is_disabled()
    source = made.shelf[3]["id"]
    assert choice.locator("option").count() == 1 + len(made.shelf)
    choice.select_option(source)
    strength.fill("0.5")
    until(page, f"{PICTURE.format('after')} !== {PICTURE.format('before')}")
    assert card.locator("output").text_content() == "0.50"
    card.get_by_role("button", name="Resample").click()
    assert choice.input_value().startswith("seed ")
    choice.select_option("")
    assert strength.is_disabled()
    until(page, f"{PICTURE.format('after')} === {PICTURE.format('before')}")
    changes = [change for body in asked for change in body["changes"]]
    assert {"factor": "color", "swap": source, "strength": 0.5, "move": [0, 0]} in changes
    assert asked[-1]["changes"] == []


def test_a_classifiers_widget_shows_real_images_and_answers(files, widget, show, until):
    page = show(widget(files.of_classes))
    assert page.locator("#one .bars li").count() == 5
    until(page, "document.querySelector('#one').shadowRoot.querySelector('.after img').naturalWidth > 0")


def test_what_cannot_be_answered_is_said_and_not_raised(files, widget):
    made, sent = widget(files.of_images, image="test:1"), []
    made.send = sent.append
    made._answer(None, {"view": "a", "number": 3, "body": {"images": ["nothing"]}}, None)
    assert (sent[0]["view"], sent[0]["number"]) == ("a", 3)
    assert "nothing" in sent[0]["fault"]


def test_without_anywidget_it_is_said_how_to_get_it(files, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "iin_cli.explorer.widget", raising=False)
    with pytest.raises(NotInstalledError, match=r"iin-cli\[notebook\]"):
        iin.load(files.of_images).explore()
