import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.metrics.neighbours import nearest_of_blocks, nearest_rows


@pytest.mark.parametrize(("count", "dim"), [(50, 3), (3000, 64)])
def test_they_are_what_a_whole_table_of_distances_shows(count, dim):
    generator = torch.Generator().manual_seed(0)
    queries, rows = torch.randn(4, dim, generator=generator), torch.randn(count, dim, generator=generator)
    numbers, distances = nearest_rows(queries, rows, 6)
    table = (queries[:, None] - rows[None]).norm(dim=2)
    expected, order = table.sort(dim=1)
    torch.testing.assert_close(distances, expected[:, :6])
    assert torch.equal(numbers, order[:, :6])


def test_near_rows_far_from_the_origin_are_told_apart():
    rows = torch.full((3, 2), 1e4)
    rows[:, 0] += torch.tensor([0.0, 0.01, 0.02])
    assert nearest_rows(rows[1:2], rows, 1)[0].item() == 1


def test_of_equal_rows_the_first_comes_first_at_no_distance():
    rows = torch.randn(20, 64, generator=torch.Generator().manual_seed(0)).repeat(5, 1)
    numbers, distances = nearest_rows(rows[:20], rows, 3)
    assert torch.equal(numbers, torch.arange(20)[:, None] + torch.tensor([0, 20, 40]))
    assert not distances.any()


def test_skipped_rows_do_not_count_and_fewer_are_all():
    rows = torch.tensor([[0.0], [1.0], [2.0]])
    numbers, distances = nearest_rows(torch.tensor([[0.0]]), rows, 5, torch.tensor([True, False, False]))
    assert (numbers.tolist(), distances.tolist()) == ([[1, 2]], [[1.0, 2.0]])
    with pytest.raises(DataError, match="no image to compare with"):
        nearest_rows(rows, rows, 1, torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_of_blocks_the_nearest_are_found_without_holding_them(offset):
    generator = torch.Generator().manual_seed(0)
    queries, rows = (offset + torch.randn(count, 16, generator=generator) for count in (4, 1000))
    found = nearest_of_blocks(queries, iter(rows.numpy()[start : start + 170] for start in range(0, 1000, 170)), 9)
    assert torch.equal(found.sort(dim=1).values, nearest_rows(queries, rows, 9)[0].sort(dim=1).values)
    assert nearest_of_blocks(queries, [rows.numpy()[:3]], 9).shape == (4, 3)
