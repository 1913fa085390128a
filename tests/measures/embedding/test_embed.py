"""Maps in memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import Reading
from iin_cli.measures.embedding.embed import MapChoice, embed_items
from iin_cli.plugin_api import Labels
from iin_cli.translator.edit import OUWalk


def reading(opened, count):
    z = torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    labels = {"class": Labels(np.arange(count) % 3)}
    data = ArrayDataset("mine", np.zeros((count, 32, 32, 3), np.uint8), labels, {"test": np.arange(count)})
    return Reading(opened, opened.network, data, np.arange(count), z, opened.transform(z))


@pytest.mark.parametrize("kind", ["of_classes", "of_images"])
def test_latents_are_embedded_without_any_file(files, kind):
    opened = replace(open_translator(getattr(files, kind)), path=None)
    saved = []
    result = embed_items(reading(opened, 20), MapChoice(method="pca"), OUWalk(steps=3), 4, save=saved.append)
    assert [list(each.maps) for each in saved] == [["latent"], ["latent", "product"], [*result.maps]]
    assert (result.out, result.translator, result.data, result.count, result.figures) == (
        "",
        "the translator in memory",
        "mine",
        20,
        (),
    )
    assert set(result.stays) == {"digit", "color", "residual"}
    assert set(result.coordinates()[0]) == {
        *("item", "image", "label.class", "z.0", "z.1", "digit.0", "color.0", "residual.0", "residual.1")
    }
    for drawn in result.maps.values():
        assert drawn.plot().axes
    assert result.plot().axes
    assert len(list(result.maps["product"].film().frames)) > 2
    assert "stays in class" in result._repr_html_()
    assert not {"reading", "maps", "places"} & set(result.as_dict())


def test_an_encoder_alone_has_maps_and_no_film(files):
    network = Network(lambda pixels: pixels.flatten(1)[:, :8])
    opened = replace(open_translator(files.of_latents), network=network)
    result = embed_items(reading(opened, 20), MapChoice(method="pca"), OUWalk(steps=3))
    assert result.failures == {}
    assert result.maps["product"].film is None
    assert all(each.plot().axes for each in result.maps.values())


def test_where_nothing_can_be_embedded_the_first_error_is_raised(opened, heard):
    with pytest.raises(DataError, match="3 images are too few for a map"):
        embed_items(reading(opened, 3), MapChoice(method="pca"), OUWalk(steps=3), report=heard)
    assert len(heard.warnings) == 3
    with pytest.raises(UsageError, match="no factor 'shape'"):
        embed_items(reading(opened, 20), MapChoice(method="pca"), OUWalk("shape"))


def test_kinds_are_drawn_in_their_own_order():
    assert MapChoice(("residual", "latent"), "pca").kinds == ("latent", "residual")
    with pytest.raises(UsageError, match="did you mean latent"):
        MapChoice(("latnet",), "pca")
