"""What is stable of `benchmarks/peers.py`: the flows compute what they claim, the record is whole, losses are named."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from iin_cli.plan import parameter_count

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
LIBRARY = {"freia": "FrEIA"}


@pytest.fixture
def flows(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("peer_flows")


@pytest.fixture
def peers(flows):
    return importlib.import_module("peers")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["plain", "freia", "nflows", "normflows", "zuko"])
def test_a_peer_has_the_same_size_and_tells_its_log_determinant(flows, name):
    if name != "plain":
        pytest.importorskip(LIBRARY.get(name, name))
    torch.manual_seed(0)
    flow = flows.PEERS[name](flows.Size(dim=7, blocks=2, hidden=16, depth=2))
    # Sets the actnorms.
    flow.forward(torch.randn(50, 7))
    flow.module.double()
    z = torch.randn(3, 7, dtype=torch.float64)
    z_tilde, log_det = flow.forward(z)
    torch.testing.assert_close(flow.inverse(z_tilde), z)
    jacobian = torch.autograd.functional.jacobian(lambda x: flow.forward(x[None])[0][0], z[0])
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(jacobian)[1])
    weights = sum(weight.numel() for weight in flow.module.parameters() if weight.requires_grad)
    # zuko has no actnorms.
    assert weights == parameter_count(7, 2, 16, 2) - (28 if name == "zuko" else 0)


def test_losses_are_named(peers):
    before = {"inverse, zuko": 1.0, "training, zuko": 3.0, "gone": 2.0}
    found = peers.lost(before, {"inverse, zuko": 0.91, "training, zuko": 2.6})
    assert found == {"training, zuko": "3.00 before, 2.60 now", "gone": "2.00 before, not measured now"}


def test_ratios_are_medians_of_rounds(peers):
    found = {
        "training": {"25": {"iin": [1.0, 2.0, 1.0], "plain": [3.0, 4.0, 9.0]}},
        "inverse": {"iin": [2.0], "plain": [1.0]},
        "memory": {"iin": 100.0, "plain": 150.0},
        "nll": {
            "reached": {
                "60": {
                    "plain": {"nll": 5.0, "after": 60.0, "iin": 3.0},
                    "zuko": {"nll": 1.0, "after": 60.0, "iin": None},
                }
            }
        },
    }
    assert peers.ratios(found) == {
        "training, 25 pairs, plain": 3.0,
        "inverse, plain": 0.5,
        "memory, plain": 1.5,
        "NLL of 60 s, plain": 20.0,
    }


def test_the_record_has_every_peer(peers):
    record = json.loads((BENCHMARKS / "record.json").read_text())
    names = importlib.import_module("peer_contest").contestants()
    for pairs in record["settings"]["pairs"]:
        for name in names[1:]:
            assert record["ratios"][f"training, {pairs} pairs, {name}"] > 0
    assert not peers.lost(record["ratios"], record["ratios"])
    assert set(record) == {"machine", "settings", "ratios"}


def test_one_contest_of_small_flows(peers, monkeypatch):
    contest = importlib.import_module("peer_contest")
    size = importlib.import_module("peer_flows").Size(dim=6, blocks=1, hidden=8, depth=1)
    ticks = iter(range(10**6))
    monkeypatch.setattr(contest, "contestants", lambda: ["iin", "plain"])
    rounds = contest.training_rounds(size, 5, 2, lambda: next(ticks))
    assert rounds == {"iin": [1.0, 1.0], "plain": [1.0, 1.0]}


@pytest.fixture
def contest(flows, monkeypatch):
    """Contestants whose every step takes a second of the clock, and whose NLL falls by `falls` each."""
    module, now = importlib.import_module("peer_contest"), [0.0]
    falls = {"iin": 10.0, module.UNREWARDED: 20.0, "plain": 1.0, "slow": 0.5}

    def enter(name, size, pairs):
        nll = [100.0]

        def step(number):
            now[0] += 1.0
            nll[0] -= falls[name]

        return module.Contestant(step, lambda: module.HeldOut(nll[0], 5.0), None, 1)

    monkeypatch.setattr(module, "enter", enter)
    return lambda seconds, cap: module.traces(None, ["plain", "slow"], seconds, lambda: now[0], cap)


def test_one_curve_gives_the_nll_after_each_of_several_seconds(contest):
    found = contest([15.0, 60.0], 2.0)
    reached = {
        limit: [tuple(each.values()) for each in figures.values()] for limit, figures in found["reached"].items()
    }
    assert reached == {
        "15": [(85.0, 5.0, 15.0, 2.0, 1.0), (92.5, 5.0, 15.0, 1.0, 1.0)],
        "60": [(40.0, 5.0, 60.0, 6.0, 3.0), (70.0, 5.0, 60.0, 3.0, 2.0)],
    }
    # It has reached what the others did, and stops.
    assert found["curves"]["iin"][-1] == (6.0, 40.0, 5.0)


def test_a_curve_ends_where_the_clock_on_the_wall_says_so_and_its_end_counts(contest):
    found = contest([15.0, 60.0], 0.0)
    assert [at for at, *_ in found["curves"]["plain"]] == [0.0, 1.0]
    assert found["reached"]["60"]["plain"] == {
        "nll": 99.0,
        "explained": 5.0,
        "after": 1.0,
        "iin": 1.0,
        "unrewarded": 1.0,
    }
