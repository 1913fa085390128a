"""Scores along the layers of a network follow what each layer knows; what cannot be scored is recorded."""

import pytest

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation import grouping
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_network
from iin_cli.metrics.bootstrap import Interval, Resampling
from iin_cli.progress import Silent
from iin_cli.registry import find
from iin_cli.sizing.estimate import estimate
from iin_cli.sizing.evidence import Evidence
from iin_cli.sizing.layer_features import LayerFeatures
from iin_cli.sizing.layer_results import LayerFinding, LayerSweep
from iin_cli.sizing.layer_sizes import LayerSizes
from iin_cli.sizing.layers import sweep_layers

pytestmark = pytest.mark.usefixtures("cache")

QUICK = Resampling(5, 99)
LAYERS = ("features.0", "features.3")


@pytest.fixture
def sweep(network, pictures, monkeypatch):
    """Sweep every fifth layer."""
    factory = find("backbones", "squeezenet1_1").factory
    every = factory.layers
    monkeypatch.setattr(factory, "layers", lambda backbone: every(backbone)[::5])

    def run(*concepts, n=60, report=None, **options):
        opened, dataset = open_network(str(network)), open_dataset(str(pictures))
        return sweep_layers(
            opened, dataset, find_providers(concepts), "variance", n, 0, report or Silent(), QUICK, **options
        )

    return run


def test_every_layer_is_scored_and_told_of_when_it_is(sweep):
    told = []
    result = sweep("color", "greyscale", after_layer=told.append)
    assert [len(part.layers) for part in told] == list(range(1, len(result.layers) + 1))
    assert told[-1] == result
    first = next(iter(result.evidence.values()))
    assert set(first) == {"color", "greyscale"}
    # Bars of four colours, in any layer of a network that keeps colours at all.
    assert first["color"].found
    assert first["greyscale"].score.items == 30
    ((title, rows),) = result.tables()
    assert title == "layers"
    assert len(rows) == 2 * len(result.widths)
    panel = result.plot().axes[0]
    assert [line.get_label() for line in panel.lines if line.get_label() in first] == ["color", "greyscale"]


def test_a_sweep_agrees_with_one_layer_and_with_itself(sweep, network, pictures, monkeypatch):
    result = sweep("class", n=96)
    assert result.evidence == sweep("class", n=96).evidence
    monkeypatch.setattr(grouping, "MOST_NEEDED", 4)
    layer = list(result.widths)[1]
    opened = open_network(str(network), layer=layer)
    providers = find_providers(["class"])
    alone = estimate(opened, open_dataset(str(pictures)), providers, "variance", 0, Silent(), QUICK)
    # Theirs leaves the held-out images out.
    assert alone.evidence["class"].score.value == pytest.approx(result.evidence[layer]["class"].score.value, abs=0.05)


def test_random_weights_are_swept_beside(sweep, network):
    told = []
    result = sweep("color", null="random-weights", after_layer=told.append, layers=LAYERS)
    assert list(result.layers) == list(result.random) == list(LAYERS)
    assert [(len(part.layers), len(part.random)) for part in told] == [(1, 0), (2, 0), (2, 1), (2, 2)]
    # The checkpoint's weights are random, too, but others; the images are the same.
    assert result.evidence == sweep("color", layers=LAYERS).evidence
    own, other = (found[LAYERS[0]].evidence["color"].score for found in (result.layers, result.random))
    assert own.items == other.items
    kept = result.as_dict()
    assert kept["null"] == "random-weights"
    assert kept["random"]["beyond"] == {layer: {"color": result.beyond_random(layer, "color")} for layer in LAYERS}
    assert set(kept["sizes"][LAYERS[0]]) == {"spectrum", "explained", "code", "paper", "scores"}
    row = result.tables()[0][1][0]
    assert row["beyond random"] in ("more", "less", "same")
    figure = result.plot()
    assert "color, random weights" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(figure.axes) == 2


def test_more_than_random_is_when_intervals_do_not_meet():
    def at(low, high):
        score = Interval((low + high) / 2, low, high, 9)
        evidence = {"hue": Evidence(score, score, None, 1.0)}
        return LayerFinding(4, evidence, {}, None, LayerSizes(None, None, None, None, {}))

    own, other = [(0.5, 0.6), (0.1, 0.2), (0.3, 0.5), (0.1, 0.9)], [(0.3, 0.4), (0.3, 0.4), (0.4, 0.6), (0.3, 0.4)]
    layers, random = ({str(n): at(*ends) for n, ends in enumerate(each)} for each in (own, other))
    sweep = LayerSweep("net", "net", "data", 9, 0, "variance", ("hue",), layers, "random-weights", random)
    assert [sweep.beyond_random(layer, "hue") for layer in layers] == ["more", "less", "same", "same"]
    assert sweep.beyond_random("0", "age") is None


def test_a_dead_layer_is_recorded_and_the_others_are_scored(sweep, monkeypatch):
    def dead(features, layer):
        values = original(features, layer)
        return values * 0 if layer == list(features.widths)[1] else values

    original = LayerFeatures.__getitem__
    monkeypatch.setattr(LayerFeatures, "__getitem__", dead)
    result = sweep("class")
    name = list(result.widths)[1]
    assert result.failed == {name: {"class": "the latents do not vary: every item has the same z"}}
    assert "class" in result.evidence[list(result.widths)[2]]
    assert result.as_dict()["failed"] == result.failed
    result.plot()


def test_a_layer_that_one_image_dominates_is_named(heard, sweep, monkeypatch):
    def stretched(features, layer):
        values = original(features, layer).copy()
        if layer in list(features.widths)[1:3]:
            values[4] *= 200
        return values

    assert sweep("class").dominance == {}
    original = LayerFeatures.__getitem__
    monkeypatch.setattr(LayerFeatures, "__getitem__", stretched)
    result = sweep("class", report=heard)
    names = list(result.widths)
    assert list(result.dominance) == names[1:3]
    kept = result.as_dict()["dominance"]
    assert {layer: list(found["items"]) for layer, found in kept.items()} == {
        layer: list(found.items) for layer, found in result.dominance.items()
    }
    lines = [line for line in heard.warnings if "dominated" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"the scores of 2 of {len(names)} layers are dominated by few items; ")
    assert ".png (" in lines[0]


def test_what_cannot_be_swept(pictures, sweep):
    opened, dataset = Network(lambda x: x.flatten(1)), open_dataset(str(pictures))
    with pytest.raises(UsageError, match="network has one latent only; leave --all-layers out"):
        sweep_layers(opened, dataset, find_providers(["class"]), "variance", 60, 0, Silent())
    with pytest.raises(DataError, match="needs the label 'digit'"):
        sweep("digit")
