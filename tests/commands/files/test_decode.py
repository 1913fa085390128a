import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from iin_cli.commands.files.decode import decode
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.opening import open_network

Z = torch.randn(7, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def latents(tmp_path):
    save_file({"z": Z, "age": torch.arange(7)}, tmp_path / "z.safetensors")
    return tmp_path / "z.safetensors"


def test_images_as_folder_grid_and_tensor(files, latents, tmp_path):
    expected = open_network(str(files.autoencoder)).draw(Z)
    result = decode(str(files.autoencoder), latents, tmp_path / "out")
    assert (result.count, result.holds) == (7, "images")
    assert len(list((tmp_path / "out").glob("*.png"))) == 7
    assert (np.asarray(Image.open(tmp_path / "out" / "000006.png")) == expected[6]).all()
    decode(str(files.autoencoder), latents, tmp_path / "images.safetensors")
    found = load_file(tmp_path / "images.safetensors")
    assert (found["images"].numpy() == expected).all()
    assert found["age"].tolist() == list(range(7))
    decode(str(files.autoencoder), latents, tmp_path / "grid.png")
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (3 * 66 + 2, 3 * 66 + 2, 3)
    assert (grid[2:66:2, 2:66:2] == expected[0]).all()
    # The third row has one image, and white beside it.
    assert (grid[-66:, 68:] == 255).all()
    assert (grid[-66:-2:2, 2:66:2] == expected[6]).all()


def test_logits_as_tensor_and_tables(files, latents, tmp_path):
    expected = open_network(str(files.classifier)).backbone.decode(Z)
    decode(str(files.classifier), latents, tmp_path / "logits.safetensors")
    torch.testing.assert_close(load_file(tmp_path / "logits.safetensors")["logits"], expected)
    decode(str(files.classifier), latents, tmp_path / "p.json")
    rows = json.loads((tmp_path / "p.json").read_text())
    assert [row["predicted"] for row in rows] == ["abcde"[index] for index in expected.argmax(1)]
    assert rows[3]["log_probability"]["b"] == pytest.approx(expected.log_softmax(1)[3, 1].item(), abs=1e-5)
    decode(str(files.classifier), latents, tmp_path / "out")
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        assert [row["predicted"] for row in csv.DictReader(file)] == [row["predicted"] for row in rows]
    assert (tmp_path / "out" / "logits.safetensors").is_file()


def test_bad_input_leaves_nothing(files, latents, tmp_path):
    with pytest.raises(UsageError, match="the result is logits"):
        decode(str(files.classifier), latents, tmp_path / "grid.png")
    save_file({"z": Z[:, :5].contiguous()}, tmp_path / "five.safetensors")
    with pytest.raises(DataError, match=r"has N = 5, .* decodes 8"):
        decode(str(files.autoencoder), tmp_path / "five.safetensors", tmp_path / "out")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["five.safetensors", "z.safetensors"]
