import base64
import io
import json
import shlex
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iin_cli.explorer import app as addresses
from iin_cli.explorer import uploads
from iin_cli.explorer.explorer import Explorer, Told
from iin_cli.explorer.worker import Ticket
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.measures.edited.surroundings import Surroundings
from iin_cli.progress import Silent


def png(width=20, height=10, **settings):
    stream = io.BytesIO()
    Image.effect_noise((width, height), 50).convert("RGB").save(stream, format="PNG", **settings)
    return stream.getvalue()


def pixels(url):
    head, _, content = url.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def error(response, status):
    assert response.status_code == status, response.text
    found = response.json()["error"]
    assert found.keys() == {"what", "why", "fix"}
    return found["why"]


def test_the_page_learns_what_the_translator_is(page):
    told = page.get("/api/translator").json()
    assert (told["answer"], told["image_size"], told["classes"]) == ("classes", 32, list("abcde"))
    digit, color, residual = told["factors"]
    assert (digit["name"], digit["dim"], digit["verdict"], color["verdict"]) == ("digit", 3, "usable", None)
    assert len(digit["axes"]) == 2
    assert len(digit["spread"]) == 87
    assert residual["relation"] == "rest"
    assert [each["name"] for each in told["attributes"]][:3] == ["class=a", "class=b", "class=c"]
    assert told["data"]["count"] == 96
    assert told["command"] == "iin explore t"


def test_a_run_is_called_by_its_folder_and_a_file_by_its_own_name(page, files, tmp_path, monkeypatch):
    assert page.get("/api/translator").json()["name"] == "t-clf"
    folder = tmp_path / "00007-fit"
    folder.mkdir()
    (folder / "translator.safetensors").write_bytes(files.of_latents.read_bytes())
    monkeypatch.chdir(folder)
    for given in (Path(), Path("translator.safetensors")):
        opened = open_translator(given)
        explorer = Explorer(opened, None, Surroundings(opened, None, Silent()), page.explorer.uploads, Told("", (), {}))
        assert explorer.translator()["name"] == "00007-fit"


def test_the_shelf_shows_every_test_image_once(page):
    found = page.get("/api/shelf", params={"offset": 0, "n": 5}).json()
    more = page.get("/api/shelf", params={"offset": 5, "n": 50}).json()
    items = [*found["items"], *more["items"]]
    assert sorted(item["id"] for item in items) == [f"test:{number}" for number in range(9)]
    assert found["count"] == more["count"] == 9
    assert page.get("/api/shelf", params={"offset": 99}).json()["items"] == []
    edited = page.edit(items[0]["id"]).json()["images"][0]
    assert edited["factors"] == edited["origin"] == items[0]["factors"]
    assert edited["label"] == items[0]["label"]
    image = page.get(f"/api/image/{items[0]['id']}")
    assert Image.open(io.BytesIO(image.content)).size == (32, 32)
    assert image.headers["cache-control"] == "no-store"
    kept = page.get(f"/api/image/{items[0]['id']}", params={"run": page.get("/api/translator").json()["run"]})
    assert kept.headers["cache-control"].startswith("private, max-age")


def test_an_edit_tells_what_the_command_line_tells(page, command_line, pictures, files, tmp_path):
    recipe = {"changes": [{"factor": "digit", "swap": "test:3", "strength": 0.7, "move": [0.1, -0.2]}]}
    answer = page.edit("test:1", **recipe, attributes={"class=a": 0.5}, locked=["color"], tab="a", number=3).json()
    (found,) = answer["images"]
    assert answer["number"] == 3
    words = shlex.split(found["command"])
    code, out, err = command_line(*words[1:-2], "--out", tmp_path / "e.json", "--json", "-q")
    assert code == 0, err
    told = json.loads(out)
    assert found["answers"] == told["answers"]
    assert found["predicted"] == told["predicted"]
    assert found["factors"] == told["factors"]
    assert found["likely"] == told["likely"]
    assert [near["distance"] for near in found["nearest"]] == [near["distance"] for near in told["nearest"]]
    near = page.get(f"/api/image/{found['nearest'][0]['id']}").content
    with Image.open(told["nearest"][0]["image"]) as image:
        assert (np.asarray(Image.open(io.BytesIO(near))) == np.asarray(image)).all()


def test_a_picture_has_the_bytes_of_the_command_it_shows(open_page, command_line, tmp_path):
    page = open_page("of_images")
    uploaded = page.post("/api/upload", content=png()).json()
    assert (uploaded["width"], uploaded["height"]) == (20, 10)
    changes = [{"factor": "color", "swap": uploaded["id"]}, {"factor": "residual", "resample": 5, "strength": 0.3}]
    found = page.edit("test:0", uploaded["id"], changes=changes).json()["images"]
    for number, image in enumerate(found):
        words = shlex.split(image["command"])
        assert words[-2:] == ["--out", "edit.png"]
        code, _, err = command_line(*words[1:-1], tmp_path / f"{number}.png", "-q")
        assert code == 0, err
        written = (tmp_path / f"{number}.png").read_bytes()
        assert base64.b64decode(image["picture"].partition(",")[2]) == written
        assert pixels(image["before"]).shape == (32, 32, 3)
    assert (pixels(found[1]["before"]) != pixels(found[1]["picture"])).any()


def test_a_grid_holds_the_edits_of_its_points(open_page):
    body = {"image": "test:2", "changes": [{"factor": "digit", "resample": 1, "move": [9, 9]}], "factor": "digit"}
    points = [[x, y] for x in (-1, 0.5) for y in (0, 2)]
    page = open_page("of_images")
    shown = page.post("/api/grid", json={**body, "points": points}).json()
    for point, picture in zip(points, shown["pictures"], strict=True):
        single = page.edit("test:2", changes=[{"factor": "digit", "resample": 1, "move": point}]).json()
        assert (pixels(picture) == pixels(single["images"][0]["picture"])).all()
    page = open_page()
    told = page.post("/api/grid", json={**body, "points": points}).json()
    assert told["pictures"] is None
    single = page.edit("test:2", changes=[{"factor": "digit", "resample": 1, "move": points[3]}]).json()["images"][0]
    after = {each["name"]: each["after"] for each in single["answers"]}
    assert told["answers"][3] == pytest.approx([after[name] for name in "abcde"], abs=1e-6)
    assert told["nearest"][3] == single["nearest"]
    assert "points" in error(page.post("/api/grid", json={**body, "points": points * 20}), 422)
    assert "no factor" in error(page.post("/api/grid", json={**body, "factor": "hue", "points": points}), 422)


def test_latents_alone_have_pads_and_nothing_else(open_page):
    page = open_page("of_latents")
    told = page.get("/api/translator").json()
    assert (told["answer"], told["data"], told["attributes"]) == ("latents", None, [])
    assert "without a network" in told["missing"]
    (item,) = page.get("/api/shelf", params={"n": 1}).json()["items"]
    assert item["id"] == "sample:0"
    (found,) = page.edit("sample:0", changes=[{"factor": "color", "move": [1, 0]}]).json()["images"]
    assert (found["picture"], found["before"], found["answers"], found["nearest"]) == (None, None, None, None)
    assert found["factors"]["color"][0] == pytest.approx(item["factors"]["color"][0] + 1)
    assert "does not draw" in error(page.get("/api/image/sample:0"), 404)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"images": []}, 422, "1 to 16"),
        ({"images": ["test:0"] * 17}, 422, "1 to 16"),
        ({"images": "test:0"}, 422, "list"),
        ({"images": ["/etc/passwd"]}, 422, "no image here"),
        ({"images": ["labels.csv"]}, 422, "no image here"),
        ({"images": ["test:99"]}, 404, "9 images in test"),
        ({"images": ["nowhere:1"]}, 422, "--split"),
        ({"images": ["upload:0123456789abcdef"]}, 404, "no longer kept"),
        ({"images": ["test:0"], "changes": [{"factor": "digit", "swap": "/etc/passwd"}]}, 422, "no image here"),
        ({"images": ["test:0"], "changes": [{"factor": "digt"}]}, 422, "did you mean digit"),
        ({"images": ["test:0"], "attributes": {"hue": 1}}, 404, "no attribute"),
        ({"images": ["test:0"], "attributes": {"class=a": 10**400}}, 422, "not a number"),
        ({"images": ["test:0"], "changes": [{"factor": "digit", "move": [10**400, 0]}]}, 422, "not a number"),
        ({"images": ["test:0"], "tab": 3}, 422, "tab"),
    ],
)
def test_what_cannot_be_done_is_said_in_json(page, body, status, words):
    assert words in error(page.post("/api/edit", json=body), status)


def test_other_requests_that_make_no_sense(page):
    assert "no JSON" in error(page.post("/api/edit", content=b"{"), 422)
    assert "object" in error(page.post("/api/edit", content=b"[]"), 422)
    assert "262,144" in error(page.post("/api/edit", content=b" " * 300_000), 413)
    assert "whole number" in error(page.get("/api/shelf", params={"offset": "-1"}), 422)
    assert error(page.get("/api/nothing"), 404) == "the explorer answers no GET /api/nothing"
    assert error(page.get("/api/edit"), 405) == "the explorer answers no GET /api/edit"
    for path in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/nothing.js",
        "/page/.hidden",
        "/page/",
        f"/page/{'a' * 999}.js",
    ):
        assert page.get(path).status_code == 404, path
    for path in ("/api/image/../../labels.csv", "/api/image/%2fetc%2fpasswd"):
        assert page.get(path).status_code in (404, 422), path


def test_uploads_are_refused_before_they_are_decoded(page, monkeypatch):
    head, decoded = bytearray(png(8, 8)), []
    monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self.size))
    assert "no image" in error(page.post("/api/upload", content=b"GIF89a but no more"), 415)
    assert "no image" in error(page.post("/api/upload", content=b""), 415)
    assert "no image" in error(page.post("/api/upload", content=b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415)
    # The head of a PNG says its size; nothing of its 50 megapixels has to be there.
    head[16:24] = (10_000).to_bytes(4, "big") + (5_000).to_bytes(4, "big")
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    assert "10000 x 5000 pixels" in error(page.post("/api/upload", content=bytes(head)), 413)
    head[16:24] = (60_000).to_bytes(4, "big") * 2
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    assert "pixels" in error(page.post("/api/upload", content=bytes(head)), 413)
    assert decoded == []


def test_an_upload_that_ends_early_is_refused_and_not_kept(page):
    whole, upload = png(64, 64), page.explorer.uploads
    before = set(upload.folder.glob("*"))
    refused = page.post("/api/upload", content=whole[: len(whole) // 2])
    assert "damaged" in error(refused, 415)
    assert refused.json()["error"]["fix"] == "choose another image file"
    assert set(upload.folder.glob("*")) == before
    assert page.post("/api/upload", content=whole).status_code == 200


def test_an_upload_that_is_too_long_is_not_read_to_its_end(page, monkeypatch):
    monkeypatch.setattr(addresses, "BYTES", 1000)
    sent = []

    def parts():
        for number in range(100):
            sent.append(number)
            yield b"x" * 100

    assert "fewer than 1,000" in error(page.post("/api/upload", content=b"x" * 1000), 413)
    assert "1,000 bytes or more" in error(page.post("/api/upload", content=parts()), 413)


def test_the_oldest_uploads_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILES", 2)
    kept = uploads.Uploads(tmp_path / "uploads")
    names = [kept.add(png(size, 9)).id for size in (9, 10)]
    assert kept.add(png(9, 9, compress_level=0)).id not in names
    assert len(list((tmp_path / "uploads").iterdir())) == 2
    assert (tmp_path / "uploads").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "uploads").iterdir())


def test_the_newest_request_of_a_tab_wins(page, monkeypatch):
    """An older number is refused; one that is computed when a newer comes is ended between its steps."""
    assert page.edit("test:0", tab="a", number=5).status_code == 200
    assert error(page.edit("test:0", tab="a", number=4), 409)
    assert page.edit("test:0", tab="b", number=1).status_code == 200
    assert page.edit("test:0", tab="a", number=5).status_code == 200
    began, going, place = threading.Event(), threading.Event(), page.explorer.editor.__class__._placed

    def placed(self, *rest):
        began.set()
        assert going.wait(20)
        return place(self, *rest)

    monkeypatch.setattr(page.explorer.editor.__class__, "_placed", placed)
    old = []
    thread = threading.Thread(target=lambda: old.append(page.edit("test:1", tab="a", number=6)))
    thread.start()
    assert began.wait(20)
    new = []
    second = threading.Thread(target=lambda: new.append(page.edit("test:1", tab="a", number=7)))
    second.start()
    while page_number(page, "a") != 7:
        pass
    going.set()
    thread.join(20)
    second.join(20)
    assert old[0].json()["error"]["what"] == "superseded"
    assert old[0].status_code == 409
    assert new[0].status_code == 200


def test_ten_tabs_at_once_all_get_their_answers(open_page):
    def drag(tab):
        page, found = open_page(), []
        for number in range(4):
            changes = [{"factor": "digit", "move": [number, tab]}]
            found.append(page.edit("test:0", changes=changes, tab=str(tab), number=number).json())
        return found

    with ThreadPoolExecutor(10) as tabs:
        for tab, answers in enumerate(tabs.map(drag, range(10))):
            assert [answer["number"] for answer in answers] == [0, 1, 2, 3]
            (image,) = answers[-1]["images"]
            assert np.subtract(image["factors"]["digit"], image["origin"]["digit"]) == pytest.approx([3, tab], abs=1e-4)


def page_number(page, tab):
    (api,) = {route.endpoint.__self__ for route in page.app.app.routes if route.path == "/api/health"}
    return api.tickets._newest[tab][0]


def test_files_that_change_meanwhile_are_named_and_all_goes_on(files, pictures, tmp_path, cache, open_page):
    page = open_page()
    watched = page.explorer.watched
    assert page.get("/api/health").json() == {"ok": True, "changed": None}
    path, status = watched.files["the backbone's checkpoint"]
    watched.files["the backbone's checkpoint"] = tmp_path / "gone.safetensors", status
    assert "gone.safetensors is gone" in page.get("/api/health").json()["changed"]
    watched.files["the backbone's checkpoint"] = path, (1, 1)
    assert "has changed" in page.get("/api/health").json()["changed"]
    assert page.edit("test:0").status_code == 200
    watched.files["the backbone's checkpoint"] = path, status


def test_without_data_draws_stand_on_the_shelf(files, tmp_path, heard):
    opened = open_translator(files.of_images)
    data = ChosenData(opened, DataChoice(str(tmp_path / "gone")), heard)
    explorer = Explorer(opened, data, Surroundings(opened, data, heard), uploads.Uploads(tmp_path), Told("", (), {}))
    explorer.prepare()
    told = explorer.translator()
    assert (told["data"], told["attributes"], told["factors"][0]["spread"]) == (None, [], [])
    assert "gone" in told["missing"]
    assert len(heard.warnings) == 1
    assert [item["id"] for item in explorer.shelf(2, 2)["items"]] == ["sample:2", "sample:3"]
    assert Image.open(io.BytesIO(explorer.image("sample:2"))).size == (32, 32)
    body = {"images": ["sample:2"], "changes": [{"factor": "digit", "swap": "sample:3", "move": [1, 0]}]}
    (found,) = explorer.edit(body, Ticket())["images"]
    assert found["likely"]["percent"] is None
    assert found["origin"]["digit"] != found["factors"]["digit"]
    assert found["picture"] != found["before"]
