"""`iin fit-translator` from the shell: JSON, exit codes, one-line errors, interruption and resume."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

SMALL = ("--blocks", 2, "--hidden", 16, "--depth", 0, "--batch-pairs", 16, "--device", "cpu", "--seed", 1)


@pytest.fixture
def latents(tmp_path):
    """Write pairs of two concepts; returns a function that overwrites one tensor or more."""

    def write(**changes):
        z = torch.randn(2, 60, 4, generator=torch.Generator().manual_seed(0))
        mask = torch.tensor([[1, 0, 0], [0, 1, 0]], dtype=torch.uint8).repeat(30, 1)
        tensors = {"z_a": z[0].contiguous(), "z_b": z[1].contiguous(), "mask": mask, **changes}
        save_file(tensors, tmp_path / "pairs.safetensors")
        return tmp_path / "pairs.safetensors"

    return write


def test_json_keys(run_cli, files, pictures, tmp_path):
    arguments = ("-b", files.autoencoder, "-d", pictures, "-c", "class", "-c", "color", "--sigma", "class=0.95")
    code, out, err = run_cli("fit-translator", *arguments, *SMALL, "--steps", 4, "--out", "t", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["checkpoint"] == "t/translator.safetensors"
    assert sum(result["factors"].values()) == 8
    assert result["steps"] == 4
    assert result["round_trip_error"] < 1e-4
    assert result["log_det_error"] < 1e-3
    assert {"heldout_nll", "rows_per_second", "seconds"} <= set(result)
    assert "rows/s over 4 steps" in err
    assert {path.name for path in (tmp_path / "t").iterdir()} == {
        "log.jsonl",
        "plan.json",
        "result.json",
        "translator.safetensors",
    }


def test_latents_of_any_network(command_line, latents, tmp_path):
    arguments = ("-c", "digit", "-c", "color", "--dims", "digit=1,color=2", *SMALL, "--steps", 2)
    code, out, _ = command_line("fit-translator", "--latents", latents(), *arguments, "--out", "t", "--json")
    assert code == 0
    assert json.loads(out)["factors"] == {"digit": 1, "color": 2, "residual": 1}
    save_file({"z": torch.randn(5, 4)}, tmp_path / "z.safetensors")
    assert command_line("translate", "-t", "t", "--latents", "z.safetensors", "--out", "o.safetensors")[0] == 0


def test_dry_run(command_line, latents, tmp_path):
    code, out, _ = command_line("fit-translator", "--latents", latents(), *SMALL, "--dry-run", "--json", "-q")
    assert code == 0
    result = json.loads(out)
    assert (result["checkpoint"], result["factors"], result["plan"]["hidden"]) == (None, {"residual": 4}, 16)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.safetensors"]


def one_line(left, code, message):
    assert (left[0], left[1]) == (code, "")
    assert message in left[2]
    assert len(left[2].splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-c", "digitt"), 2, "did you mean digit"),
        (("-c", "color"), 3, "concept color needs the label 'color', and digits has: digit, class"),
        (("-c", "digit", "--dims", "digit=8"), 2, "leave 0 of 8 for the residual"),
        (("-c", "digit", "--dims", "digit=3,residual=4"), 2, "3+4 do not sum to the latent's 8"),
        (("-c", "digit", "--dims", "digit"), 2, "write digit=13,color=17"),
        (("-c", "digit", "--dims", "colour=3"), 2, "the concepts are digit"),
        (("-c", "digit", "--preset", "nonsense"), 2, "choose from: auto, compvis, paper"),
        (("-c", "digit", "--sigma", "1"), 2, "not a number in [0, 1)"),
        (("-c", "digit", "--sigma", "digt=0.5"), 2, "did you mean digit"),
        (("-c", "digit", "--learning-rate", "nan"), 2, "--learning-rate"),
        (("-c", "digit", "--estimator", "x"), 2, "choose from: correlation, variance"),
        (("-c", "digit", "--out", "taken"), 2, "--out taken is not empty"),
        (("-c", "digit", "--out", "taken/file/below"), 2, "cannot write taken/file/below"),
        (("-c", "digit", "--resume", "--out", "taken"), 2, "no interrupted run in taken"),
        (("-c", "digit", "--latents", "x.safetensors"), 2, "either --backbone or --latents"),
        (("-c", "digit", "--device", "cuda:99"), 2, "--device cuda:99"),
    ],
)
def test_bad_input(command_line, files, tmp_path, arguments, code, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    left = command_line("fit-translator", "-b", files.autoencoder, "-d", "digits", *SMALL, *arguments, "-q")
    one_line(left, code, message)
    assert not list((tmp_path / "runs").glob("*"))


def test_neither_a_network_nor_latents(command_line):
    one_line(command_line("fit-translator", "-c", "digit", "-q"), 2, "either --backbone or --latents")


def test_unfit_checkpoints(command_line, files, tmp_path):
    whole = files.autoencoder.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    save_file({"weight": torch.ones(2)}, tmp_path / "foreign.safetensors")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("cut.safetensors", "cut.safetensors is not a whole safetensors file"),
        ("foreign.safetensors", "is a safetensors file, but not one of iin's"),
        (files.of_images, "is a translator, expected a backbone"),
        ("empty", "empty has no backbone.safetensors"),
    ):
        one_line(command_line("fit-translator", "-b", name, "-d", "digits", "-c", "digit", "-q"), 4, message)


def test_fewer_images_than_latents(command_line, files, tmp_path):
    (tmp_path / "few").mkdir()
    for number in range(6):
        Image.new("RGB", (32, 32), (40 * number, 0, 0)).save(tmp_path / "few" / f"{number}.png")
    left = command_line("fit-translator", "-b", files.autoencoder, "-d", "few", "-q")
    one_line(left, 3, "few has 5 training images, fewer than the 8 dimensions")
    (tmp_path / "few" / "3.png").write_bytes(b"no image")
    left = command_line("fit-translator", "-b", files.autoencoder, "-d", "few", "-q")
    one_line(left, 3, "3.png cannot be read")


def test_unfit_latents(command_line, latents, tmp_path):
    concepts = ("-c", "digit", "-c", "color")
    bad = torch.zeros(60, 4)
    bad[41, 2] = torch.nan
    left = command_line("fit-translator", "--latents", latents(z_b=bad), *concepts, "-q")
    one_line(left, 3, "pairs.safetensors: z_b is not finite in row 41")
    left = command_line("fit-translator", "--latents", latents(), "-c", "digit", "-q")
    one_line(left, 3, "needs (60, 2) with the columns digit, residual")
    left = command_line("fit-translator", "--latents", latents(z_a=torch.ones(60, 4), z_b=torch.ones(60, 4)), "-q")
    one_line(left, 3, "the latents do not vary")
    (tmp_path / "pairs.safetensors").write_bytes(b"torn")
    left = command_line("fit-translator", "--latents", "pairs.safetensors", *concepts, "-q")
    one_line(left, 4, "not a whole safetensors file")


def test_divergence(command_line, latents, tmp_path):
    arguments = ("--latents", latents(), *SMALL, "--steps", 50, "--learning-rate", "1e30", "--out", "t", "-q")
    one_line(command_line("fit-translator", *arguments), 5, "training diverged at step")
    code, out, err = command_line("info", "t", "--json")
    assert code == 0, err
    assert "translator" in out


def test_interrupted_and_resumed(run_cli, command_line, latents, tmp_path):
    arguments = ("fit-translator", "--latents", latents(), *SMALL, "--steps", 10**6, "--preset", "paper", "--out", "t")
    code, out, err = run_cli(*arguments, signal_when="fitting the translator:")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "iin: interrupted; the same command with --resume --out t goes on"
    assert {path.name for path in (tmp_path / "t").iterdir()} == {
        "log.jsonl",
        "plan.json",
        "training-state.safetensors",
    }
    assert command_line(*arguments, "--resume", "--seed", 2)[0] == 2
    code, out, err = command_line(*arguments, "--resume", "--max-seconds", 3, "--json")
    assert code == 0, err
    assert json.loads(out)["steps"] > 100
