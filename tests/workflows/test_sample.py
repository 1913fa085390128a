import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from iin_cli.errors import UsageError
from iin_cli.workflows.image_sets import translator_images
from iin_cli.workflows.opening import open_translator
from iin_cli.workflows.sample import generate, sample


@pytest.fixture
def opened(files):
    return open_translator(files.of_images)


def images_of(folder):
    return {int(file.stem): np.asarray(Image.open(file)) for file in folder.glob("*.png")}


def test_an_image_depends_on_its_seed_alone_to_the_byte(opened):
    seeds = list(range(70))
    whole = np.concatenate(list(generate(opened, seeds)))
    assert whole.shape == (70, 32, 32, 3)
    assert len(np.unique(whole.reshape(70, -1), axis=0)) == 70
    for batch in (1, 7, 64, 1000):
        parts = list(generate(opened, seeds, batch))
        assert {len(part) for part in parts[:-1]} <= {batch}
        assert (np.concatenate(parts) == whole).all()
    backwards = np.concatenate(list(generate(opened, seeds[::-3], 5)))
    assert (backwards == whole[::-3]).all()
    assert (np.concatenate(list(translator_images(opened.path, [5], torch.device("cpu")))) == whole[5:6]).all()


def test_it_is_eq_13(opened):
    z_tilde = torch.randn(8, generator=torch.Generator().manual_seed(42))[None]
    with torch.no_grad():
        image = opened.backbone.decode(opened.translator.inverse(z_tilde))[0]
    expected = ((image.permute(1, 2, 0) + 1) * 127.5).round()
    assert np.abs(next(generate(opened, [42]))[0].astype(int) - expected.int().numpy()).max() <= 1


def test_files_are_named_by_seed(files, tmp_path, opened):
    result = sample(files.of_images, [3, 1234567, 8], tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "000003.png",
        "000008.png",
        "1234567.png",
        "sample.json",
    ]
    assert (result.count, result.out) == (3, str(tmp_path / "out"))
    assert result.images_per_second == pytest.approx(3 / result.seconds, rel=0.2)
    assert json.loads((tmp_path / "out" / "sample.json").read_text())["count"] == 3
    for seed, image in images_of(tmp_path / "out").items():
        assert (image == next(generate(opened, [seed]))[0]).all()
    with pytest.raises(UsageError, match="not empty"):
        sample(files.of_images, [3], tmp_path / "out")


def test_arrays_in_one_file(files, tmp_path, opened):
    expected = np.concatenate(list(generate(opened, [9, 2, 5])))
    sample(files.of_images, [9, 2, 5], tmp_path / "a", format="npz", batch=2)
    with np.load(tmp_path / "a" / "images.npz") as found:
        assert found["seeds"].tolist() == [9, 2, 5]
        assert (found["images"] == expected).all()
    sample(files.of_images, [9, 2, 5], tmp_path / "b", format="safetensors")
    found = load_file(tmp_path / "b" / "images.safetensors")
    assert found["seeds"].tolist() == [9, 2, 5]
    assert (found["images"].numpy() == expected).all()


def test_what_cannot_be_sampled_leaves_no_folder(files, tmp_path):
    with pytest.raises(UsageError, match="classifier"):
        sample(files.of_classes, [0], tmp_path / "out")
    with pytest.raises(UsageError, match="without a backbone"):
        sample(files.of_latents, [0], tmp_path / "out")
    with pytest.raises(UsageError, match="png, npz, safetensors"):
        sample(files.of_images, [0], tmp_path / "out", format="gif")
    assert not (tmp_path / "out").exists()
