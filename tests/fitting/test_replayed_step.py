"""A replayed step is the step itself; what cannot be captured is taken as it is."""

import contextlib

import pytest
import torch

import iin_cli as iin
from iin_cli.fitting import replayed_step
from iin_cli.fitting.replayed_step import WARM_UP, ReplayedStep
from iin_cli.fitting.streams import Batch

CPU = torch.device("cpu")


class Graph:
    """Stands for a CUDA graph: remembers the work that was captured, and does it once more."""

    captured = None

    def replay(self):
        self.captured()


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that the CPU plays; returns the captures that were asked for."""
    captures = []

    @contextlib.contextmanager
    def graph(made, **settings):
        captures.append((made, settings))
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return captures


class Summing:
    """A step that adds up what it is given; its figure lies at one place, as a captured one does."""

    def __init__(self):
        self.figure, self.steps = torch.zeros(()), 0

    def __call__(self, batch):
        # What a graph replays is the work on the tensors that it was captured with.
        Graph.captured = staticmethod(lambda: self(batch))
        self.steps += 1
        return self.figure.copy_(batch.z_a.sum())


def batch_of(value, rows=2, kind=(0, 1)):
    return Batch(torch.full((rows, 3), float(value)), None, None, torch.ones(rows), torch.tensor(kind))


def test_the_fourth_step_is_captured_and_replayed_with_the_numbers_of_each_batch(gpu, heard):
    step = ReplayedStep(Summing(), CPU, heard)
    figures = [step(batch_of(value)).item() for value in range(7)]
    assert figures == [6.0 * value for value in range(7)]
    assert [settings for _, settings in gpu] == [{"capture_error_mode": "thread_local"}]
    assert heard.warnings == []


def test_a_batch_of_other_shapes_or_kinds_is_taken_as_it_is(gpu, heard):
    take = Summing()
    step = ReplayedStep(take, CPU, heard)
    for value in range(WARM_UP + 1):
        step(batch_of(value))
    Graph.captured = None
    assert step(batch_of(1, rows=4, kind=(0, 0, 1, 1))).item() == 12
    assert step(batch_of(2, kind=(0, 0))).item() == 12
    assert len(gpu) == 1


def test_what_cannot_be_captured_is_taken_as_it_is_and_said_once(gpu, heard, monkeypatch):
    class Generator:
        state = "within a capture"

        def clone_state(self):
            return "as new"

        def graphsafe_set_state(self, state):
            self.state = state

    def fails(made, **settings):
        raise RuntimeError("operation not permitted when stream is capturing")

    generator = Generator()
    monkeypatch.setattr(torch.cuda, "graph", fails)
    monkeypatch.setattr(torch.cuda, "default_generators", [generator])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    step = ReplayedStep(Summing(), CPU, heard)
    assert [step(batch_of(value)).item() for value in range(7)] == [6.0 * value for value in range(7)]
    (warning,) = heard.warnings
    assert warning.startswith("steps are not replayed as one CUDA graph, and are slower: RuntimeError: operation not")
    assert generator.state == "as new"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("relation", ["share", "differ", "single", "unknown"])
def test_on_a_gpu_a_fit_is_the_same_to_the_bit(monkeypatch, relation):
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(600) % 3
    z = torch.randn(600, 8, generator=generator) + 2 * torch.nn.functional.one_hot(label, 8)
    pairs = {
        "share": iin.Pairs(z).share("class", label),
        "differ": iin.Pairs(z).differ("scale", 0.5 * z),
        "single": iin.Pairs(z),
        "unknown": iin.Pairs.given(z[:300], z[300:], [[1, 0], [0, 0], [-1, 0]] * 100, ["class"]),
    }[relation]
    wanted = {"method": "flow", "blocks": 2, "hidden": 16, "steps": 20, "seed": 0, "device": "cuda"}
    replayed = iin.fit(pairs, **wanted)
    monkeypatch.setattr(replayed_step, "WARM_UP", 100)
    plain = iin.fit(pairs, **wanted)
    for one, other in zip(replayed.translator.parameters(), plain.translator.parameters(), strict=True):
        assert torch.equal(one, other)
