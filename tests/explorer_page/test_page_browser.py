"""The explorer's page in a real browser, before a real server."""

import base64
import io
import shlex
from urllib.parse import unquote

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

AFTER, BEFORE = "#stage .after img", "#stage .before img"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}


def pad(page, factor):
    return page.locator(f"[data-factor={factor}] canvas")


def address(page, selector):
    return page.locator(selector).first.get_attribute("src")


def drag(page, factor, to=(0.8, 0.3)):
    box = pad(page, factor).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in (0.5, 1):
        page.mouse.move(
            box["x"] + box["width"] * (0.5 + (to[0] - 0.5) * step),
            box["y"] + box["height"] * (0.5 + (to[1] - 0.5) * step),
        )
    page.mouse.up()


@pytest.fixture
def of_images(explore, files):
    return explore(files.of_images)


@pytest.fixture
def of_classes(explore, files):
    return explore(files.of_classes)


def test_a_drag_changes_the_picture_and_undo_brings_it_back(of_images, visit, after, until):
    page = visit(of_images)
    first, address_of_first = address(page, AFTER), page.url
    assert first == address(page, BEFORE)
    after(page, lambda: drag(page, "digit"))
    second = address(page, AFTER)
    assert second != first
    assert address(page, BEFORE) == first
    assert "set.digit=@" in page.url
    assert page.locator("#undo, [aria-label^=Undo]").is_enabled()
    after(page, lambda: page.keyboard.press("z"))
    assert (page.url, address(page, AFTER)) == (address_of_first, first)
    after(page, lambda: page.keyboard.press("Shift+Z"))
    assert address(page, AFTER) == second
    # The browser's own button does the same, and the address alone brings it all back.
    after(page, page.go_back)
    assert address(page, AFTER) == first
    after(page, page.go_forward)
    page.reload()
    until(page, "window.shown > 0")
    assert address(page, AFTER) == second


def test_the_copied_command_makes_the_same_bytes(of_images, visit, command_line, tmp_path):
    hash = "#images=test:5&set.digit=test:2*0.6@0.4,-1.2&set.color=seed:11&along.digit%3D3=0.5&lock=residual"
    page = visit(of_images, hash=hash, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the command").click()
    page.locator("[data-bar=told]").wait_for()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["iin", "edit", "test:5"]
    assert words[words.index("--along") :][:4] == ["--along", "digit=3=0.5", "--lock", "residual"]
    code, _, err = command_line(*words[1:])
    assert code == 0, err
    shown = base64.b64decode(address(page, AFTER).partition(",")[2])
    assert (tmp_path / "edit.png").read_bytes() == shown


def test_all_of_it_by_the_keyboard(of_images, visit, after, until):
    page = visit(of_images)
    pad(page, "digit").focus()
    begin = page.url
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    until(page, "location.hash.includes('set.digit=@0.3,0.5')")
    page.keyboard.press("Home")
    until(page, "!location.hash.includes('set.digit')")
    # Swapping: from the card to the shelf, along it, and back.
    slot = page.get_by_role("button", name="choose an image to take color from")
    slot.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.className") == "thumb"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className").startswith("slot")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    chosen = page.evaluate("document.activeElement.dataset.id")
    after(page, lambda: page.keyboard.press("Enter"))
    assert f"set.color={chosen}" in unquote(page.url)
    page.keyboard.press("r")
    until(page, "location.hash.includes('set.residual=seed:')")
    page.get_by_role("button", name="Lock residual").click()
    page.keyboard.press("0")
    until(page, "!location.hash.includes('set.color') && location.hash.includes('set.residual')")
    assert pad(page, "residual").get_attribute("aria-disabled") == "true"
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    assert page.url != begin


def test_images_are_dropped_uploaded_and_refused(of_images, visit, tmp_path, after, until):
    page = visit(of_images)
    third = page.locator("#shelf .thumb").nth(2)
    card = page.locator("[data-factor=color]")
    after(page, lambda: third.drag_to(card))
    assert f"set.color={third.get_attribute('data-id')}" in unquote(page.url)
    assert card.locator(".slot img").is_visible()
    after(page, lambda: card.get_by_role("slider", name="Strength").fill("0.5"))
    until(page, "location.hash.includes('*0.5')")
    Image.new("RGB", (50, 40), (200, 30, 60)).save(tmp_path / "red.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "red.png")
    until(page, "location.hash.startsWith('#images=upload:')")
    assert page.locator("#shelf .thumb").first.get_attribute("aria-label") == "red.png"
    # Files from outside, dropped on a factor.
    handle = page.evaluate_handle(
        "async () => { const data = new DataTransfer(); const blob = await (await fetch('/api/image/test:1')).blob();"
        " data.items.add(new File([blob], 'one.png', { type: 'image/png' })); return data; }"
    )
    page.dispatch_event("[data-factor=digit]", "drop", {"dataTransfer": handle})
    until(page, "location.hash.includes('set.digit=upload:')")


def test_a_file_that_is_no_image_is_said_and_all_goes_on(of_images, visit, tmp_path, after):
    # The browser itself notes a refused request on its console.
    page = visit(of_images, quiet=False)
    (tmp_path / "words.txt").write_text("no image")
    page.locator("input[type=file]").set_input_files(tmp_path / "words.txt")
    assert "no image" in page.get_by_role("alert").inner_text()
    after(page, lambda: drag(page, "digit"))
    assert page.get_by_role("alert").count() == 0


def test_a_classifiers_page_shows_real_images_and_answers(of_classes, visit, until):
    page = visit(of_classes, hash="#images=test:1,test:2&set.digit=seed:4")
    assert page.locator(".figure").count() == 2
    assert page.locator(".figure").first.locator(".near").count() >= 3
    until(page, "[...document.querySelectorAll('#stage img')].every((image) => image.naturalWidth > 0)")
    assert page.locator(".bars li").count() == 5
    assert page.locator(".bars .band").first.is_visible()
    until(page, "document.getElementById('said').textContent.includes('As likely as')")
    assert 0 <= float(page.get_by_role("meter").get_attribute("aria-valuenow")) <= 100
    page.get_by_role("button", name="Remove").last.click()
    until(page, "document.querySelectorAll('.figure').length === 1")


def test_a_phone_in_the_dark_by_touch_without_motion(of_images, visit, after):
    page = visit(of_images, **PHONE, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    outside = "e => e.getBoundingClientRect().right > 391 && !e.closest('.scroll, .row')"
    assert page.evaluate(f"[...document.querySelectorAll('body *')].filter({outside}).map(e => e.outerHTML)") == []
    colors = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    brightness = [sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(","))) for color in colors]
    assert brightness[0] < brightness[1]
    # What shows that something is under way goes in steps.
    page.evaluate("document.documentElement.setAttribute('data-busy', '')")
    busy = page.evaluate("getComputedStyle(document.documentElement, '::before').animationTimingFunction")
    page.evaluate("document.documentElement.removeAttribute('data-busy')")
    assert busy.startswith("steps")
    pad(page, "digit").scroll_into_view_if_needed()
    first = address(page, AFTER)
    after(page, lambda: pad(page, "digit").tap(position={"x": 20, "y": 30}))
    assert address(page, AFTER) != first
    # The picture stays in sight of who drags.
    assert page.locator(AFTER).first.bounding_box()["y"] >= 0


def test_axe_finds_nothing_wrong(of_images, of_classes, visit, violations):
    for address_of, hash in (
        (of_images, "#images=test:3&set.digit=test:4&lock=color"),
        (of_classes, "#images=test:1,test:2&set.digit=seed:4"),
    ):
        page = visit(address_of, hash=hash, color_scheme="light")
        assert violations(page) == []
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []
        page.get_by_role("button", name="choose an image").last.click()
        page.locator("summary").click()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert violations(page) == []


def test_axe_finds_nothing_wrong_on_a_phone(of_classes, visit, violations):
    assert violations(visit(of_classes, **PHONE)) == []


def test_a_saved_page_needs_no_server(of_images, of_classes, visit, tmp_path):
    for server, shown in ((of_images, "data:image/png"), (of_classes, "data:image/")):
        page = visit(server, hash="#images=test:3&set.color=seed:4")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save page").click()
        file = tmp_path / "saved.html"
        download.value.save_as(file)
        saved = visit(file.as_uri())
        assert address(saved, AFTER).startswith(shown)
        first = address(saved, AFTER)
        assert saved.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        assert "iin edit test:3" in saved.locator("pre").inner_text()
        box = saved.locator("canvas").first.bounding_box()
        saved.mouse.click(box["x"] + 10, box["y"] + 10)
        moved = address(saved, AFTER)
        assert moved.startswith(shown)
        assert server is of_classes or moved != first
        saved.get_by_role("button", name="Put back").click()
        assert address(saved, AFTER) == first


def test_axe_finds_nothing_wrong_with_a_saved_page(of_classes, visit, violations, tmp_path):
    page = visit(of_classes)
    with page.expect_download() as download:
        page.keyboard.press("s")
    download.value.save_as(tmp_path / "saved.html")
    assert violations(visit((tmp_path / "saved.html").as_uri())) == []


def test_latents_alone_have_pads_and_no_pictures(explore, files, visit, after):
    page = visit(explore(files.of_latents))
    assert "latents alone" in page.locator("[data-bar=latents]").inner_text()
    assert page.locator("#stage img, #shelf img").count() == 0
    assert "nats" in page.locator(".gauge").inner_text()
    after(page, lambda: drag(page, "digit"))
    assert "set.digit=@" in page.url


def test_tabs_do_not_disturb_each_other(of_images, visit, after):
    pages = [visit(of_images) for _ in range(2)]
    for number, page in enumerate(pages):
        after(page, lambda page=page, number=number: drag(page, "digit", (0.3 + number / 5, 0.3)))
    assert len({address(page, AFTER) for page in pages}) == 2


def test_a_stranger_is_told_what_to_do(of_images, chromium):
    context = chromium.new_context()
    page = context.new_page()
    assert page.goto(of_images.partition("?")[0]).status == 403
    assert "iin explore" in page.inner_text("body")
    context.close()


def test_the_server_goes_and_comes_back(explore_apart, files, visit, until):
    server = explore_apart(files.of_images)
    # A browser notes on its console each request that nobody answers.
    page = visit(server.url, quiet=False)
    server.kill()
    drag(page, "digit")
    bar = page.locator("[data-bar=away]")
    bar.wait_for()
    assert "The server is away" in bar.inner_text()
    assert "iin explore" in bar.inner_text()
    before = page.evaluate("window.shown")
    server.start()
    bar.wait_for(state="detached")
    until(page, f"window.shown > {before}")
    assert "set.digit=@" in page.url
    assert address(page, AFTER) != address(page, BEFORE)


def test_pictures_are_as_large_as_the_networks(of_images, visit):
    page = visit(of_images)
    shown = Image.open(io.BytesIO(base64.b64decode(address(page, AFTER).partition(",")[2])))
    assert shown.size == (32, 32)
