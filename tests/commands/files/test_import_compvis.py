"""From a published file to a checkpoint that every other command opens."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from iin_cli.commands.files.import_compvis import import_compvis
from iin_cli.errors import CheckpointError, UsageError
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.io import checkpoint

# The files are built, and computed by hand, where reading them is tested.
built = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "io" / "test_compvis.py")))


@pytest.fixture
def published(tmp_path):
    return built.write(tmp_path / "t.ckpt", built.published_translator())


def test_a_translator_opens_with_names(tmp_path, published):
    result = import_compvis(published, tmp_path / "t.safetensors", factors={"digit": 2, "color": 1, "residual": 3})
    assert (result.kind, result.latent_dim) == ("translator", 6)
    assert list(result.factors.items()) == [("digit", 2), ("color", 1), ("residual", 3)]
    assert 0 <= result.round_trip_error < 1e-3
    opened = open_translator(result.checkpoint)
    assert [factor.sigma for factor in opened.factors] == [0.975] * 3
    assert opened.network is None
    metadata = opened.metadata
    assert metadata["training"]["preset"] == "compvis"
    assert metadata["source"]["sha256"] == checkpoint.digest(published)
    assert metadata["data"] is None
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        opened.translator(z)[0], built.by_hand(built.published_translator(), z, 3)[0], rtol=1e-4, atol=1e-4
    )


def test_a_residual_that_comes_first_goes_last(tmp_path, published):
    """Some published translators have it first; the permutation that ends T takes the move in."""
    result = import_compvis(published, tmp_path / "t.safetensors", factors={"residual": 3, "digit": 2, "color": 1})
    assert list(result.factors) == ["digit", "color", "residual"]
    translator = open_translator(result.checkpoint).translator
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    theirs, log_det = built.by_hand(built.published_translator(), z, 3)
    ours, our_log_det = translator(z)
    torch.testing.assert_close(ours, theirs[:, [3, 4, 5, 0, 1, 2]], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(our_log_det, log_det, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(translator.inverse(ours), z, rtol=1e-3, atol=1e-3)


def test_the_residual_takes_what_is_left(tmp_path, published):
    assert import_compvis(published, tmp_path / "t.safetensors", factors={"digit": 2}).factors == {
        "digit": 2,
        "residual": 4,
    }


def test_without_factors_it_says_how_many_dimensions_and_what_to_type(tmp_path, published):
    with pytest.raises(UsageError, match=r"N = 6 .*--factors digit=2,color=2,residual=2$"):
        import_compvis(published, tmp_path / "t.safetensors")
    assert not (tmp_path / "t.safetensors").exists()


@pytest.mark.parametrize("factors", [{"digit": 2, "residual": 3}, {"digit": 6}, {"digit": 3, "color": 9}])
def test_factors_that_do_not_fit_are_refused(tmp_path, published, factors):
    with pytest.raises(CheckpointError, match="--factors"):
        import_compvis(published, tmp_path / "t.safetensors", factors=factors)
    assert not (tmp_path / "t.safetensors").exists()


def test_backbones_open_and_stand_beside_their_translator(tmp_path):
    ae = built.write(tmp_path / "ae.ckpt", built.published_autoencoder(dim=6))
    imported = import_compvis(ae, tmp_path / "ae.safetensors")
    assert (imported.kind, imported.name, imported.factors, imported.round_trip_error) == (
        "backbone",
        "autoencoder",
        {},
        None,
    )
    images = torch.zeros(1, 3, 32, 32)
    backbone = open_network(str(imported.checkpoint)).backbone
    assert backbone.decode(backbone.encode(images)).shape == images.shape

    t = built.write(tmp_path / "t.ckpt", built.published_translator())
    result = import_compvis(t, tmp_path / "t.safetensors", factors={"residual": 6}, backbone=imported.checkpoint)
    opened = open_translator(result.checkpoint)
    assert opened.network.sha256 == imported.sha256
    assert opened.network.require_images().name == "autoencoder"


def test_a_classifier_opens(tmp_path):
    result = import_compvis(built.write(tmp_path / "c.ckpt", built.published_classifier()), tmp_path / "c.safetensors")
    assert open_network(str(result.checkpoint)).backbone.classes == ("0", "1", "2")


def test_what_is_for_translators_only_is_refused_elsewhere(tmp_path):
    ae = built.write(tmp_path / "ae.ckpt", built.published_autoencoder(dim=4))
    with pytest.raises(UsageError, match="--factors is for translators"):
        import_compvis(ae, tmp_path / "x.safetensors", factors={"residual": 4})
    other = import_compvis(ae, tmp_path / "ae.safetensors").checkpoint
    t = built.write(tmp_path / "t.ckpt", built.published_translator())
    with pytest.raises(CheckpointError, match="4 dimensions"):
        import_compvis(t, tmp_path / "t.safetensors", factors={"residual": 6}, backbone=other)


def test_an_existing_file_stays(tmp_path, published):
    (tmp_path / "t.safetensors").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        import_compvis(published, tmp_path / "t.safetensors", factors={"residual": 6})
    assert (tmp_path / "t.safetensors").read_text() == "mine"


def test_a_flow_that_leaves_the_finite_numbers_is_refused(tmp_path):
    state = built.published_translator()
    state["realnvp.flow.0.flow.0.scale"] = torch.full((1, 6, 1, 1), 1e-38)
    with pytest.raises(CheckpointError, match="not finite"):
        import_compvis(built.write(tmp_path / "t.ckpt", state), tmp_path / "t.safetensors", factors={"residual": 6})
