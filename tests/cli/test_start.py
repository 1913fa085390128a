"""What commands import before they work: nothing that they do not use, and no torch where no tensor is needed."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "torchvision", "pandas", "sympy", "jinja2"}
# Several commands in one process: once a module is there, it would be found in every later one.
RUN = """
import contextlib, io, json, sys
from iin_cli.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["iin", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    # A module that was only looked for has no file.
    there = [name for name in sys.modules if getattr(sys.modules[name], "__file__", None)]
    print(json.dumps([code, out.getvalue(), err.getvalue(), there]))
"""


def run(folder, *commands):
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run([sys.executable, "-c", RUN, words], capture_output=True, text=True, cwd=folder, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(commands), done.stderr
    return [(code, out, err, set(there)) for code, out, err, there in found]


@pytest.mark.slow
def test_what_needs_no_numbers_imports_no_numpy(files, tmp_path):
    t = files.of_images
    commands = [
        ("info", t),
        ("info", t, "--json"),
        ("plugins",),
        ("plugins", "--json"),
        ("swap", "-t", "gone", "-f", "digit"),
        ("swap", "-t", t, "-f", "digt"),
        ("walk", "-t", t, "-f", "colr"),
        ("audit", "-t", t, "--device", "gpu"),
        ("respond", "-t", "gone"),
        ("estimate-dims", "-b", "./gone", "-c", "digit"),
        ("fit-translator", "-b", "gone.safetensors", "-c", "digit"),
        ("fit-translator", "-b", "resnet5O", "-c", "digit"),
        ("encode", "-b", "nobody:resnet50x"),
        ("encode", "-b", "torchvision:resnet5O"),
    ]
    found = run(tmp_path, *commands)
    for command, (_, _, err, there) in zip(commands, found, strict=True):
        assert not there & {*HEAVY, "numpy", "PIL"}, command
        assert err.count("\n") == (command[0] not in ("info", "plugins")), command
    assert [code for code, *_ in found] == [0, 0, 0, 0, 4, 2, 2, 2, 4, 4, 4, 2, 2, 2]
    said = [err for _, _, err, _ in found[4:]]
    assert said[0] == "iin: no such checkpoint: gone\n"
    assert "did you mean digit?" in said[1]
    assert "did you mean color?" in said[2]
    assert said[3] == "iin: --device 'gpu': write auto, cpu, cuda, cuda:0 or mps\n"
    assert said[7] == "iin: unknown backbone 'resnet5O': did you mean resnet50 or resnet152 or resnet34?\n"
    assert "unknown backbone 'nobody'" in said[8]
    assert "no classification model 'resnet5O': did you mean resnet50" in said[9]
    assert json.loads(found[1][1])["kind"] == "translator"
    assert {row["status"] for row in json.loads(found[3][1])} == {"unchecked"}


@pytest.mark.slow
def test_what_needs_no_tensors_imports_no_torch(files, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    drawing = ("sample", "-t", files.of_images, "--dry-run", "--seeds")
    commands = [
        (*drawing, "0-299", "--json"),
        (*drawing, "0-299", "--format", "npz", "--fix", "residual=a.png", "--json"),
        (*drawing, "0-3", "--format", "gif"),
        (*drawing, "0-3", "--vary", "digt"),
        (*drawing, "0-3", "--out", "full"),
        (*drawing, "3-0"),
        ("sample", "-t", files.of_classes, "--dry-run", "--seeds", "1"),
        ("sample", "-t", files.of_latents, "--dry-run", "--seeds", "1"),
        (*drawing, "1", "--backbone", "gone.safetensors"),
        ("audit", "-t", files.of_images, "--data", "digts"),
        ("audit", "-t", files.of_images, "--data", "./gone"),
        ("train-backbone", "-b", "autoencoder", "-d", "gone/images"),
        ("train-backbone", "-b", "autoencodr", "-d", "digits"),
    ]
    found = run(tmp_path, *commands)
    for command, (code, _, err, there) in zip(commands, found, strict=True):
        assert not there & HEAVY, command
        assert err.count("\n") == (code != 0), command
    assert [code for code, *_ in found] == [0, 0, 2, 2, 2, 2, 2, 2, 4, 2, 3, 3, 2]
    plan = json.loads(found[0][1])
    assert (plan["count"], plan["files"], plan["image_size"], plan["resumes"]) == (300, 300, 32, False)
    assert plan["varied"] == ["digit", "color", "residual"]
    plan = json.loads(found[1][1])
    assert (plan["files"], plan["varied"], plan["fixed"]) == (2, ["digit", "color"], {"residual": "a.png"})
    assert "did you mean digit?" in found[3][2]
    assert "is not empty" in found[4][2]
    assert "draws no images" in found[6][2]
    assert "--backbone" in found[7][2]
    assert "say where it is now" in found[8][2]
    assert "did you mean digits" in found[9][2]
    assert "did you mean autoencoder?" in found[12][2]
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.slow
def test_a_swap_imports_torch_and_no_more(files, tmp_path):
    ((code, _, err, there),) = run(tmp_path, ("swap", "-t", files.of_images, "-f", "digit", "-o", "grid.png", "-q"))
    assert (code, err) == (0, "")
    # The last two load where torch computes without numbers, and take as long as torch itself.
    assert not there & {*HEAVY - {"torch"}, "torch._dynamo", "torch._inductor"}
    assert "torch" in there
    assert (tmp_path / "grid.png").is_file()
