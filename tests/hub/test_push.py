"""`iin push` and back: what is sent, what the card says, and that it can be used elsewhere."""

import json
import os

import pytest

from iin_cli.io import checkpoint

pytest.importorskip("huggingface_hub")


def test_there_and_back_a_swap_has_the_same_bytes(server, hub_environment, files, run_cli, command_line, tmp_path):
    swap = ("swap", "--factor", "digit", "--n", "2", "--seed", "0", "--data", "digits", "--device", "cpu", "-q")
    sending = ("push", files.of_images, "me/digits", "--license", "mit", "--private", "--json", "-q")
    code, out, err = run_cli(*sending, "--out", "sent", env=hub_environment)
    assert (code, err) == (0, "")
    sent = json.loads(out)
    assert (sent["sent"], sent["private"]) == (True, True)
    assert sent["commit"] == server.repositories["me/digits"].head
    there = server.repositories["me/digits"].commits[sent["commit"]]
    assert {*there} == {*(each["name"] for each in sent["files"]), ".gitattributes"}
    assert {"README.md", "translator.safetensors", "backbone.safetensors", "swap-0.png"} <= {*there}
    # Whoever reads the repository learns nothing of this machine.
    assert not [name for name, content in there.items() if os.fsencode(files.of_images.parent) in content]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert command_line(*swap, "-t", files.of_images, "--out", "here")[0] == 0
    code, _, err = run_cli(
        *swap, "-t", "hf:me/digits", "--out", "there", env={**hub_environment, "HOME": str(elsewhere)}
    )
    assert (code, err) == (0, "")
    grids = [(tmp_path / folder / "grid.png").read_bytes() for folder in ("here", "there")]
    assert grids[0] == grids[1]


def test_a_dry_run_writes_the_whole_repository_and_sends_nothing(files, command_line, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code, out, err = command_line("push", files.of_images, "me/digits", "--dry-run", "--out", "card", "--no-pictures")
    assert code == 0, err
    assert "names no licence" in err
    assert "sent        False" in out
    folder = tmp_path / "card"
    assert {file.name for file in folder.iterdir()} == {"README.md", "translator.safetensors", "backbone.safetensors"}
    described = checkpoint.describe(folder / "translator.safetensors")
    assert described["backbone"]["source"] == "backbone.safetensors"
    assert described["backbone"]["sha256"] == checkpoint.digest(folder / "backbone.safetensors")
    assert checkpoint.load(folder / "translator.safetensors").tensors.keys() == (
        checkpoint.load(files.of_images).tensors.keys()
    )
    # The folder is the repository: it opens where it lies, wherever that is.
    moved = folder.rename(tmp_path / "moved")
    code, _, err = command_line("swap", "-t", moved, "--factor", "digit", "--n", "1", "--data", "digits", "-o", "x.png")
    assert code == 0, err


def test_a_classifiers_translator_and_latents_alone_have_cards_without_swaps(files, command_line, tmp_path):
    for number, (file, said) in enumerate(
        {files.of_classes: "Its network is here, too", files.of_latents: "fitted to latents alone"}.items()
    ):
        code, _, err = command_line("push", file, "me/x", "--dry-run", "--out", str(number), "--license", "mit")
        assert (code, "warning" in err) == (0, False), err
        card = (tmp_path / str(number) / "README.md").read_text()
        assert said in card
        assert "<img" not in card


def test_the_audit_is_the_translators_own(files, command_line, tmp_path):
    audit = {"n": 9, "data": "/home/me/faces", "seed": 1, "factors": {"digit": 3}, "out": "x"}
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    words = ("push", files.of_images, "me/x", "--dry-run", "--no-pictures", "--out", "o", "--audit", "audit.json")
    code, _, err = command_line(*words)
    assert code == 4
    assert "the audit of another translator, with the factors digit (3)" in err
    assert not (tmp_path / "o").exists()
    verdict = {"factor": "digit", "verdict": "usable", "read": "yes", "remove": "no", "reasons": ["a | b"]}
    figure = {"value": 0.51, "low": 0.4, "high": 0.6, "items": 9, "null": {"value": 0.01}}
    audit |= {"factors": {"digit": 3, "color": 2, "residual": 3}, "verdicts": [verdict]}
    (tmp_path / "audit.json").write_text(json.dumps({**audit, "figures": {"information.digit": figure}}))
    assert command_line(*words)[0] == 0
    card = (tmp_path / "o" / "README.md").read_text()
    assert "on 9 images of faces (seed 1)" in card
    assert r"a \| b" in card
    assert r"| information.digit | 0.51 \[0.4, 0.6\] | 0.01 |" in card


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["of_images", "digits"], 2, "write owner/name"),
        (["of_images", "me/x@v1"], 2, "name a repository only"),
        (["of_images", "me/x", "--license", "m i t"], 2, "--license 'm i t'"),
        (["of_images", "me/x", "--tag", "<b>"], 2, "--tag '<b>'"),
        (["of_images", "me/x", "--audit", "."], 4, "there is no audit.json"),
        (["of_images", "me/x", "--backbone", "classifier"], 4, "is not the backbone"),
        (["parent", "me/x"], 4, "has neither translator.safetensors nor backbone.safetensors"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(files, command_line, tmp_path, words, code, why):
    named = {"parent": files.of_images.parent, **vars(files)}
    found, out, err = command_line("push", "--dry-run", *(named.get(word, word) for word in words))
    assert (found, out, err.count("\n")) == (code, "", 1), err
    assert why in err
    assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


def test_sending_needs_a_token_and_a_network(files, run_cli, hub_environment, server):
    for change, why in (({"HF_TOKEN": ""}, "needs a token"), ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set")):
        code, _, err = run_cli("push", files.autoencoder, "me/x", env=hub_environment | change)
        assert (code, why in err) == (2, True), err
    assert not server.requests
