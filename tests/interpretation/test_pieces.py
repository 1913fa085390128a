import threading
import time

import numpy as np
import pytest
import torch

from iin_cli.interpretation.pieces import image_rows, in_pieces, piece_rows, to_pixels
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


@pytest.mark.usefixtures("two_cores")
def test_each_core_computes_a_piece_of_its_own_and_they_come_in_order():
    both, threads, cores = threading.Barrier(2, timeout=10), set(), set()

    def slow(rows):
        threads.add(threading.current_thread().name)
        cores.add(torch.get_num_threads())
        # The first piece takes longest; without a second thread nobody comes to the barrier.
        both.wait()
        time.sleep(0.05 if rows[0, 0] == 0 else 0)
        return rows * 2

    height = piece_rows(CPU)
    rows = torch.arange(4.0 * height).view(-1, 1)
    found = torch.cat(list(in_pieces(len(rows), rows.__getitem__, slow, CPU, is_concurrent=True)))
    assert torch.equal(found, rows * 2)
    assert (len(threads), cores) == (2, {1})
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_cores")
def test_a_network_for_one_thread_is_called_by_the_caller_alone():
    names = set()

    def compute(rows):
        names.add(threading.current_thread())
        return rows

    list(in_pieces(1000, torch.zeros(1000, 1).__getitem__, compute, CPU, is_concurrent=False))
    list(in_pieces(3, torch.zeros(3, 1).__getitem__, compute, CPU, is_concurrent=True))
    assert names == {threading.current_thread()}


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(("count", "given", "cores"), [(3, False, 2), (3, True, 1), (200, False, 1)])
def test_one_core_computes_a_piece_alone_where_that_matters(count, given, cores):
    seen, rows = set(), torch.zeros(count, 1)
    compute = lambda piece: seen.add(torch.get_num_threads()) or piece  # noqa: E731
    list(in_pieces(count, rows.__getitem__, compute, CPU, is_concurrent=True, one_core_each=given))
    assert seen == {cores}


@pytest.mark.usefixtures("two_cores")
def test_a_failing_piece_ends_it_and_gives_the_cores_back():
    def fail(rows):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(in_pieces(1000, torch.zeros(1000, 1).__getitem__, fail, CPU, is_concurrent=True))
    stopped = in_pieces(1000, torch.zeros(1000, 1).__getitem__, torch.neg, CPU, is_concurrent=True)
    next(stopped)
    stopped.close()
    assert torch.get_num_threads() == 2


def test_pixels_survive_the_way_there_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    assert (to_pixels(as_images(pixels)) == pixels).all()
    assert to_pixels(torch.tensor([-9.0, 9.0, 0.0]).view(1, 3, 1, 1)).ravel().tolist() == [0, 255, 128]


@pytest.mark.parametrize(("size", "rows"), [(32, 64), (64, 64), (128, 16), (224, 5), (1024, 4)])
def test_large_images_are_encoded_in_lower_pieces(size, rows):
    assert image_rows(torch.device("cpu"), size) == rows
    assert image_rows(torch.device("cuda"), size) >= rows
