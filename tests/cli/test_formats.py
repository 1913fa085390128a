"""Figures in the format and at the resolution that are asked for; tests of other commands ask for it, too."""

import pytest
from PIL import Image

FEW = ("--seed", 0, "--device", "cpu", "-q")
COMMANDS = {
    "swap": (("swap", "-t", "IMAGES", "-f", "digit", "--n", 2), "grid"),
    "walk": (("walk", "-t", "IMAGES", "--n", 1), "walk"),
    "walk of classes": (("walk", "-t", "CLASSES", "--n", 1), "walk"),
    "preview": (("preview-concept", "-c", "class", "-d", "digits", "--n", 2), "preview"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_gets_the_format_asked_for(command_line, files, tmp_path, name):
    words, stem = COMMANDS[name]
    places = {"IMAGES": files.of_images, "CLASSES": files.of_classes}
    words = [places.get(word, word) for word in words]
    code, _, err = command_line(*words, *FEW, "--out", "out", "--format", "svg")
    assert code == 0, err
    assert (tmp_path / "out" / f"{stem}.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert not (tmp_path / "out" / f"{stem}.png").exists()


def test_a_file_says_its_format_by_its_name(command_line, files, tmp_path):
    swap = ("swap", "-t", files.of_images, "-f", "digit", "--n", 2, *FEW)
    for name, start in (("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        code, _, err = command_line(*swap, "-o", name)
        assert code == 0, err
        assert (tmp_path / name).read_bytes().startswith(start)
    code, _, err = command_line(*swap, "-o", "b.png", "--dpi", 300)
    assert code == 0, err
    with Image.open(tmp_path / "a.png") as screen, Image.open(tmp_path / "b.png") as printed:
        assert printed.width == pytest.approx(3 * screen.width, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "tiff"), "--format 'tiff': choose from: pdf, png, svg"),
        (("--format", "pdf", "-o", "x.png"), "--format pdf: --out x.png says what is written; leave one of them out"),
        (("--dpi", "3000"), "--dpi"),
        (("-o", "x.gif"), "a file that ends in .png or .pdf or .svg"),
    ],
)
def test_what_cannot_be_written_is_one_line(command_line, files, arguments, says):
    code, _, err = command_line("swap", "-t", files.of_images, "-f", "digit", "--n", 2, *FEW, *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err
