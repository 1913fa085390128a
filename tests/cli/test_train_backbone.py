"""`iin train-backbone` from the shell: JSON, exit codes, and what Ctrl-C and SIGTERM leave behind."""

import json
import signal
from urllib.error import URLError

import pytest

TINY = ("--steps", 2, "--device", "cpu", "--seed", 1)
# Long enough to be interrupted, and of one batch size and plan with its continuation.
LONG = ("train-backbone", "-b", "classifier", "--steps", 10**6, "--device", "cpu", "--seed", 1)


def test_an_autoencoder_of_colordigits(run_cli, command_line, tmp_path):
    code, out, err = run_cli("train-backbone", "-b", "autoencoder", "-d", "colordigits", *TINY, "--out", "ae", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["checkpoint"] == "ae/backbone.safetensors"
    assert (tmp_path / "ae" / "backbone.safetensors").exists()
    assert (result["latent_dim"], result["steps"], result["seed"]) == (64, 2, 1)
    assert {"mse", "active", "images_per_second", "seconds"} <= set(result)
    assert "run folder ae" in err
    code, out, err = command_line("info", "ae")
    assert code == 0, err
    assert "autoencoder" in out


def test_without_out_the_folder_is_numbered(command_line, pictures, tmp_path):
    code, out, _ = command_line("train-backbone", "-b", "classifier", "-d", pictures, *TINY, "-q")
    assert code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name == f"00000-train-backbone-classifier-{pictures.name}"
    assert folder.name in out
    assert "accuracy" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-b", "autoencoderr", "-d", "digits"), 2, "did you mean autoencoder?"),
        (("-b", "autoencoder", "-d", "digitz"), 2, "did you mean digits"),
        (("-b", "autoencoder", "-d", "./nowhere"), 3, "nowhere does not exist: give a folder of images"),
        (("-b", "autoencoder", "-d", "digits", "--out", "taken"), 2, "--out taken is not empty"),
        (("-b", "autoencoder", "-d", "digits", "--out", "taken/file"), 2, "is a file"),
        (("-b", "autoencoder", "-d", "digits", "--out", "taken/file/below"), 2, "cannot write taken/file/below"),
        (("-b", "autoencoder", "-d", "digits", "--image-size", "33"), 2, "use 32"),
        (("-b", "autoencoder", "-d", "digits", "--device", "gpu"), 2, "--device 'gpu'"),
        (("-b", "autoencoder", "-d", "digits", "--steps", "0"), 2, "--steps"),
        (("-b", "autoencoder", "-d", "digits", "--resume"), 2, "name its folder"),
        (("-b", "autoencoder", "-d", "digits", "--resume", "--out", "taken"), 2, "no interrupted run in taken"),
        (("-d", "digits"), 2, "--backbone"),
    ],
)
def test_bad_input(command_line, tmp_path, arguments, code, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    left, out, err = command_line("train-backbone", *arguments, "-q")
    assert (left, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"taken", "runs", "cache"}
    assert not list((tmp_path / "runs").glob("*/*"))
    assert (tmp_path / "taken" / "file").read_text() == "mine"


def test_one_class_only(command_line, tmp_path):
    from PIL import Image

    (tmp_path / "images" / "cat").mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (32, 32), (50 * number, 0, 0)).save(tmp_path / "images" / "cat" / f"{number}.png")
    code, _, err = command_line("train-backbone", "-b", "classifier", "-d", "images", "-q")
    assert code == 3
    assert "at least two classes, and the data has 1" in err


def test_without_a_network_one_line_says_which_weights_to_place_where(command_line, pictures, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    arguments = ("train-backbone", "-b", "shufflenet_v2_x0_5", "-d", pictures, "--image-size", 32, *TINY, "-q")
    code, out, err = command_line(*arguments)
    assert (code, out) == (2, "")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    assert err.splitlines()[-1] == (
        "iin: the weights of shufflenet_v2_x0_5 cannot be fetched (no route to host): place "
        f"shufflenetv2_x0.5-f707e7126e.pth in {folder}, or use --weights none for random ones"
    )
    code, out, err = command_line(*arguments, "--weights", "none", "--json")
    assert code == 0, err
    assert json.loads(out)["latent_dim"] == 1024


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_interrupted_and_resumed(run_cli, command_line, pictures, tmp_path, number, code, word):
    arguments = (*LONG, "-d", pictures, "--out", "run")
    left, out, err = run_cli(*arguments, signal_when="training the classifier", signal_number=number)
    assert (left, out) == (code, "")
    assert err.splitlines()[-1] == f"iin: {word}; the same command with --resume --out run goes on"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "log.jsonl",
        "plan.json",
        "training-state.safetensors",
    }
    code, out, err = command_line(*arguments, "--resume", "--max-seconds", 1, "--json")
    assert code == 0, err
    assert json.loads(out)["steps"] > 1
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "backbone.safetensors",
        "log.jsonl",
        "plan.json",
        "result.json",
    }
    code, _, err = command_line(*arguments, "--resume")
    assert (code, "has finished" in err) == (2, True)
