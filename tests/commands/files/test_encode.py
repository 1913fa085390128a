import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from iin_cli.commands.files.encode import encode
from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_network
from iin_cli.io import checkpoint
from iin_cli.latents.cache import as_images


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))


def test_every_item_of_the_split_with_its_labels(files, tmp_path):
    result = encode(str(files.autoencoder), DataChoice(split="test"), tmp_path / "z.safetensors")
    found = load_file(tmp_path / "z.safetensors")
    digits = open_dataset("digits")
    assert found["indices"].tolist() == digits.splits["test"].tolist()
    assert found["label.digit"].tolist() == digits.labels["digit"].values[digits.splits["test"]].tolist()
    assert set(found) == {"z", "log_variance", "indices", "label.digit", "label.class"} == set(result.tensors)
    mean, log_variance = open_network(str(files.autoencoder)).backbone.posterior(
        as_images(digits.images(digits.splits["test"][:4], 32))
    )
    torch.testing.assert_close(found["z"][:4], mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["log_variance"][:4], log_variance, atol=1e-5, rtol=1e-4)
    metadata = checkpoint.describe(tmp_path / "z.safetensors", "latents")
    assert metadata["backbone"]["sha256"] == checkpoint.digest(files.autoencoder)
    assert metadata["split"] == "test"
    assert metadata["label_names"]["digit"] == [str(digit) for digit in range(10)]


def test_a_deterministic_encoder_has_no_variance_and_all_is_the_default(files, tmp_path):
    encode(str(files.classifier), DataChoice("digits", split="all"), tmp_path / "z.safetensors")
    found = load_file(tmp_path / "z.safetensors")
    assert "log_variance" not in found
    assert found["indices"].tolist() == list(range(1797))


def test_groups_of_concepts_and_their_renderings(files, tmp_path):
    result = encode(
        str(files.classifier),
        DataChoice("colordigits", split="test"),
        tmp_path / "z.safetensors",
        concepts=["digit", "greyscale"],
    )
    found = {name: tensor.numpy() for name, tensor in load_file(tmp_path / "z.safetensors").items()}
    images = len(open_dataset("colordigits").splits["test"])
    assert result.count == 2 * images
    original, grey = found["rendering"] == 0, found["rendering"] == 1
    assert original.sum() == grey.sum() == images
    # Equal digits are one group; an image and its grey rendering are another; a rendering has no digit group.
    digits, labels = found["group.digit"][original], found["label.digit"][original]
    assert len(np.unique(np.stack((digits, labels)), axis=1).T) == 10
    assert (found["group.digit"][grey] == -1).all()
    group = dict(zip(found["indices"][original], found["group.greyscale"][original], strict=True))
    assert [group[item] for item in found["indices"][grey]] == found["group.greyscale"][grey].tolist()
    assert np.abs(found["z"][original] - found["z"][grey]).max() > 1e-3
    assert checkpoint.describe(tmp_path / "z.safetensors")["renderings"] == ["greyscale/1"]


def test_continuous_labels_stay_what_they_are(files, tmp_path, pictures):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    lines = (folder / "labels.csv").read_text().splitlines()
    marked = [f"{line},{'heat' if not number else number / 7}" for number, line in enumerate(lines)]
    (folder / "labels.csv").write_text("\n".join(marked))
    encode(str(files.classifier), DataChoice(str(folder), split="all"), tmp_path / "z.safetensors", ["class"])
    found = load_file(tmp_path / "z.safetensors")
    assert found["label.heat"].dtype == torch.float64
    assert found["label.heat"].tolist() == [(1 + number) / 7 for number in range(96)]
    assert {found[name].dtype for name in ("indices", "rendering", "label.class", "group.class")} == {torch.int64}
    assert "heat" not in checkpoint.describe(tmp_path / "z.safetensors")["label_names"]


def test_bad_input_leaves_nothing(files, tmp_path):
    out = tmp_path / "z.safetensors"
    with pytest.raises(UsageError, match="train, test, and all"):
        encode(str(files.classifier), DataChoice("digits", split="validation"), out)
    with pytest.raises(UsageError, match="did you mean digit"):
        encode(str(files.classifier), DataChoice("digits"), out, concepts=["digt"])
    with pytest.raises(DataError, match="color"):
        encode(str(files.classifier), DataChoice("digits"), out, concepts=["color"])
    assert not out.exists()
