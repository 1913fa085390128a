"""The card: names are data in it, never markup; its header is what the Hub reads."""

import re

import pytest

from iin_cli.errors import UsageError
from iin_cli.publishing.card import Card, CardFile, CardPicture, NetworkUse, check_license, check_tag, plain
from iin_cli.publishing.copies import without_places

FACTORS = [
    {"name": "a|b<script>", "dim": 3, "sigma": 0.9, "relation": "share"},
    {"name": "residual", "dim": 5, "sigma": 0.9, "relation": "rest"},
]
TRANSLATOR = {"kind": "translator", "factors": FACTORS, "data": {"name": "/home/me/my faces", "root": "/home/me"}}


def card(**changes):
    files = [CardFile("translator.safetensors", 1234567, "0" * 64)]
    return Card("me/faces", **{"described": TRANSLATOR, "files": files, **changes}).markdown()


def test_the_header_is_what_was_given():
    header = card(license="mit", tags=["faces", "iin"]).split("---\n")[1]
    assert header.splitlines()[:2] == ["license: mit", "library_name: iin-cli"]
    tags = re.findall(r"^- (.*)$", header, re.MULTILINE)
    assert tags[-1] == "faces"
    assert len(tags) == len(set(tags))
    assert "license" not in card().split("---\n")[1]


def test_names_are_never_markup_and_no_folder_is_named():
    text = card(described={**TRANSLATOR, "factors": [{**FACTORS[0], "name": "a|b<script>\n```\n"}, FACTORS[1]]})
    # Code is shown as it is; nothing can end its block.
    assert "<script>" not in re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert r"| a\|b&lt;script&gt; \`\`\` | 3 | 0.9 | share it |" in text
    assert "my faces" in text
    assert "/home/me" not in text


def test_it_shows_how_to_load_it_and_that_nobody_has_measured_it():
    text = card(pictures=[CardPicture("swap-0.png", "a", "iin swap -t hf:me/faces --n 2")])
    assert "iin swap -t hf:me/faces --factor 'a|b<script>'" in text
    assert 'iin.load("hf:me/faces")' in text
    assert "Nobody has measured" in text
    assert '<img src="swap-0.png"' in text


def test_every_table_is_as_wide_as_its_head():
    width = 0
    for line in card().splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (width and cells) or cells == width, line
        width = cells


@pytest.mark.parametrize("text", ["a\nb: c", "", "---", "é", "a" * 70])
def test_what_would_break_the_header_is_refused(text):
    for check in (check_license, check_tag):
        with pytest.raises(UsageError):
            check(text)


def test_text_is_one_line_and_shown_as_it_is():
    assert plain("# a\n*b* [c](d) `e`") == r"\# a \*b\* \[c\](d) \`e\`"


def test_no_place_is_published_and_names_stay():
    plan = {
        "backbone": {"source": "/home/me/b.safetensors", "weights": "default", "name": "autoencoder"},
        "concepts": ["class"],
        "stylizer": "sketch:/home/me/round.png,/home/me/angular.png",
        "root": "/data",
        "classes": ["/", "/home/me"],
        "left": {"/home/me/x.png": "C:\\Users\\me\\x.png"},
        "names": ["timm:resnet50", "a/b", "/"],
        "steps": 3,
    }
    assert without_places(plan) == {
        "backbone": {"source": "b.safetensors", "weights": "default", "name": "autoencoder"},
        "concepts": ["class"],
        "stylizer": "sketch:round.png,angular.png",
        "root": None,
        "classes": ["/", "/home/me"],
        "left": {"x.png": "x.png"},
        "names": ["timm:resnet50", "a/b", "/"],
        "steps": 3,
    }


@pytest.mark.parametrize(
    ("use", "lines"),
    [
        (NetworkUse("x"), ["iin audit -t hf:me/faces\n", 'iin.load("hf:me/faces")']),
        (NetworkUse("x", shell=None), ["iin translate -t hf:me/faces --latents z.safetensors"]),
        (NetworkUse("x", None, ", network=network"), ['iin.load("hf:me/faces", network=network)']),
        (
            NetworkUse("x", " --backbone FILE", ', backbone="FILE"', "iin-timm"),
            ['"iin-cli[hub]" iin-timm', "swap -t hf:me/faces --backbone FILE --factor", 'faces", backbone="FILE")'],
        ),
    ],
)
def test_what_it_takes_to_use_it_depends_on_the_network(use, lines):
    text = card(network=use)
    for line in lines:
        assert line in text
    assert ("iin audit -t hf:me/faces\n" in text) == (use.shell == "")
