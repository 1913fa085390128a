"""Figures of steps: at once, or one step late where a GPU would have to wait."""

import pytest
import torch

from iin_cli.training.readout import Readout


@pytest.mark.parametrize(("is_late", "read"), [(None, [1, 2, 3, 4]), (True, [1, 1, 2, 3])])
def test_the_first_is_read_at_once_and_later_ones_in_their_turn(is_late, read):
    readout = Readout(is_late)
    assert [readout(torch.tensor(float(number))) for number in (1, 2, 3, 4)] == read


def test_a_late_number_is_that_of_its_time():
    readout, value = Readout(True), torch.tensor(1.0)
    readout(value)
    value.fill_(5.0)
    assert readout(value) == 1.0
