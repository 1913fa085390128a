import builtins
import io
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence, features

from iin_cli.errors import UsageError
from iin_cli.figures.animation import require_format, save_animation, there_and_back, tile

SHOWN = [400, 80, 400, 80]


def frames(count=4, height=33, width=41):
    """Distinct plain frames with a mark that moves."""
    for index in range(count):
        frame = np.full((height, width, 3), 40 * index, np.uint8)
        frame[5:15, 5 + 6 * index : 11 + 6 * index] = (230, 40, 60)
        yield frame


def test_there_and_back_holds_at_the_ends_and_closes():
    order, shown = there_and_back(25)
    assert order == [*range(25), *range(23, 0, -1)]
    assert (shown[0], shown[1], shown[24]) == (400, 80, 400)
    assert there_and_back(2) == ([0, 1], [1250, 1250])
    assert min(there_and_back(1000)[1]) == 40


def test_walks_are_tiled_kind_above_kind():
    images = np.arange(2 * 7, dtype=np.uint8).reshape(2, 7, 1, 1, 1).repeat(3, 4)
    page = tile(images)[:, :, 0, 0, 0]
    assert page.tolist() == [[0, 1, 2, 3], [7, 8, 9, 10], [4, 5, 6, 255], [11, 12, 13, 255]]
    assert tile(images[:, :3])[:, :, 0, 0, 0].tolist() == [[0, 1, 2], [7, 8, 9]]


@pytest.mark.parametrize("name", ["film.gif", "film.webp"])
def test_every_frame_is_there_as_long_as_it_should_and_the_film_loops(tmp_path, name):
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    path = tmp_path / name
    save_animation(path, frames(), SHOWN)
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (4, (41, 33), 0)
        for found, expected, shown in zip(ImageSequence.Iterator(film), frames(), SHOWN, strict=True):
            found.load()
            assert found.info["duration"] == shown
            assert np.abs(np.asarray(found.convert("RGB")).astype(int) - expected).max() <= 2
    again = tmp_path / f"again-{name}"
    save_animation(again, frames(), SHOWN)
    assert again.read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, again.name])


def test_an_mp4_has_even_sides_and_the_same_length(tmp_path):
    av = pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    save_animation(tmp_path / "film.mp4", frames(), SHOWN)
    with av.open(io.BytesIO((tmp_path / "film.mp4").read_bytes())) as film:
        found = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(found) == sum(SHOWN) // 40
    assert found[0].shape == (34, 42, 3)
    for index, expected in ((0, 0), (10, 1), (12, 2)):
        assert abs(float(found[index][25:30, :40].mean()) - 40 * expected) < 6


def test_without_pyav_an_mp4_says_what_to_install_and_leaves_nothing(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "av":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.delitem(sys.modules, "av", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'iin-cli\[video\]'") as error:
        save_animation(tmp_path / "film.mp4", frames(), SHOWN)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_unfit_formats_and_places(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="gif, webp, mp4"):
        require_format("avi")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        save_animation(tmp_path / "file" / "film.gif", frames(), SHOWN)
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(UsageError, match="without WebP"):
        require_format("webp")
