"""The average of the weights: its formula, its beginning, and its independence of the network that is trained."""

import pytest
import torch
from torch import nn

from iin_cli.training.averaging import EVERY, AveragedWeights


def followed(values, part):
    """A weight that takes `values`, one after each update's steps, and its average."""
    line = nn.Linear(1, 1, bias=False)
    average = AveragedWeights(line, part)
    for update, value in enumerate(values):
        with torch.no_grad():
            line.weight.fill_(value)
        average.follow(line, (update + 1) * EVERY - 1)
    return line, average


@pytest.mark.parametrize("part", [0.05, 0.1, 0.5])
def test_it_is_the_power_function_average(part):
    values = torch.linspace(-1, 3, 40, dtype=torch.float64).square()
    kept = values[0]
    for update, value in enumerate(values[1:], 2):
        beta = (1 - 1 / update) ** (1 / part - 1)
        kept = beta * kept + (1 - beta) * value
    line, average = followed(values.tolist(), part)
    assert average.module.weight.item() == pytest.approx(kept.item(), rel=1e-5)
    assert line.weight.item() == pytest.approx(values[-1].item())


def test_the_mean_age_is_its_part_of_any_run():
    for updates in (100, 400):
        _, average = followed([float(update) for update in range(1, updates + 1)], 0.1)
        assert updates - average.module.weight.item() == pytest.approx(0.1 * updates, abs=1)


def test_it_begins_with_the_first_weights_and_again_when_told_to():
    line, average = followed([], 0.1)
    assert not average.is_begun
    for step in range(EVERY - 1):
        average.follow(line, step)
    assert not average.is_begun
    average.follow(line, EVERY - 1)
    assert average.is_begun
    assert torch.equal(average.module.weight, line.weight)
    average.forget()
    with torch.no_grad():
        line.weight.fill_(7.0)
    average.follow(line, 2 * EVERY - 1)
    assert average.module.weight.item() == 7.0


def test_buffers_are_those_of_the_network():
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2))
            self.register_buffer("mean", torch.zeros(2))

    net = Held()
    average = AveragedWeights(net, 0.1)
    net.mean.fill_(3.0)
    average.follow(net, EVERY - 1)
    assert torch.equal(average.module.mean, net.mean)
    assert not average.module.weight.requires_grad
