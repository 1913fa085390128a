import numpy as np
import torch

from iin_cli.interpretation.pieces import in_pieces, piece_rows, to_pixels
from iin_cli.latents.cache import as_images

CPU = torch.device("cpu")


def test_every_piece_has_one_height_and_the_padding_is_cut():
    heights = []

    def double(rows):
        heights.append(len(rows))
        return rows * 2

    rows = torch.randn(piece_rows(CPU) * 2 + 3, 4, generator=torch.Generator().manual_seed(0))
    found = torch.cat(list(in_pieces(len(rows), rows.__getitem__, double, CPU)))
    assert heights == [piece_rows(CPU)] * 3
    assert torch.equal(found, rows * 2)


def test_rows_are_made_when_their_piece_is_due():
    asked = []

    def take(where):
        asked.append(where.start)
        return torch.zeros(piece_rows(CPU), 1)

    pieces = in_pieces(10 * piece_rows(CPU), take, torch.neg, CPU)
    next(pieces)
    assert asked == [0]


def test_pixels_survive_the_way_there_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    assert (to_pixels(as_images(pixels)) == pixels).all()
    assert to_pixels(torch.tensor([-9.0, 9.0, 0.0]).view(1, 3, 1, 1)).ravel().tolist() == [0, 255, 128]
