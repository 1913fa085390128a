import json

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from iin_cli.errors import UsageError
from iin_cli.workflows.generation import TranslatorPrior
from iin_cli.workflows.generation import generate as generate_images
from iin_cli.workflows.opening import open_translator
from iin_cli.workflows.sample import sample


def generate(opened, seeds, batch=64):
    return generate_images(opened.image_backbone, TranslatorPrior(opened), seeds, opened.device, batch)


@pytest.fixture
def opened(files):
    return open_translator(files.of_images)


def images_of(folder):
    return {int(file.stem): np.asarray(Image.open(file)) for file in folder.glob("*.png")}


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
