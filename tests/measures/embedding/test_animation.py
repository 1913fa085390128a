import math

import numpy as np
import torch
from PIL import Image

from iin_cli.figures.embeddings import Plane
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.measures.embedding import animation as module
from iin_cli.measures.embedding.animation import FRAMES_PER_FACTOR, arc, product_film
from iin_cli.metrics.embedding import project
from iin_cli.progress import Silent


def test_every_point_of_an_arc_is_standard_normal_and_its_ends_are_met():
    generator = torch.Generator().manual_seed(0)
    start, end = (torch.randn(40_000, 2, generator=generator) for _ in range(2))
    points = arc(start, end, 5)
    assert torch.equal(points[0], start)
    assert torch.equal(points[-1], end)
    assert all(abs(point.std().item() - 1) < 0.02 for point in points)
    torch.testing.assert_close(points[2], (start + end) / math.sqrt(2))


def course(translator, count=5):
    reading = ChosenData(open_translator(translator), DataChoice(seed=1), Silent()).read(60)
    factors = ("digit", "color")
    lines = [project(reading.z_tilde[:, reading.opened.factors.slice(name)].numpy(), 1, "pca", 0) for name in factors]
    plane = Plane(np.concatenate([line.points for line in lines], 1), factors)
    return reading, plane, factors, lines, module._course(reading, plane, factors, lines, count)


def test_one_factor_moves_at_a_time_until_all_lie_where_their_partners_were(files):
    reading, plane, _, _, (walked, places, captions) = course(files.of_classes)
    assert walked.shape[:2] == places.shape[:2] == (2 * FRAMES_PER_FACTOR, 5)
    first, second = places[:FRAMES_PER_FACTOR], places[FRAMES_PER_FACTOR:]
    assert np.array_equal(first[0], plane.points[:5])
    assert np.array_equal(places[-1], np.roll(plane.points[:5], -1, axis=0))
    assert (first[..., 1] == first[0, :, 1]).all()
    assert (second[..., 0] == second[0, :, 0]).all()
    residual = reading.opened.factors.slice("residual")
    assert torch.equal(walked[..., residual], walked[:1, :, residual].expand(len(walked), -1, -1))
    color = reading.opened.factors.slice("color")
    assert torch.equal(walked[-1][:, color], reading.z_tilde[:5, color].roll(-1, 0))
    # What is drawn on the way is where the edited z̃ lies.
    assert captions[0].startswith("each takes digit")
    assert captions[-1] == "each takes color from its partner: 100%"


def test_positions_between_are_those_of_the_edited_block(files):
    reading, _, _, lines, (walked, places, _) = course(files.of_images)
    block = walked[4][:, reading.opened.factors.slice("digit")].numpy()
    assert np.allclose(places[4, :, 0], lines[0].place(block)[:, 0])


def test_it_is_a_looping_film_of_as_many_frames(files, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FRAMES_PER_FACTOR", 3)
    for name, translator in (("a.gif", files.of_classes), ("b.gif", files.of_images)):
        reading, plane, factors, lines, _ = course(translator)
        product_film(reading, plane, factors, tuple(lines), Silent()).save(tmp_path / name)
        with Image.open(tmp_path / name) as film:
            assert film.n_frames == 6
            assert film.info["loop"] == 0
            assert film.info["duration"] > 1000
