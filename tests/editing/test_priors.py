"""From seeds to images, to the byte."""

import numpy as np
import torch

from iin_cli.distributed import noise
from iin_cli.editing.priors import BackbonePrior, TranslatorPrior
from iin_cli.editing.priors import generate as generate_images
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.pieces import to_pixels
from iin_cli.io.manifest import cut

CPU = torch.device("cpu")


def generate(opened, seeds, batch=64):
    return generate_images(opened.network.backbone, TranslatorPrior(opened), seeds, CPU, batch)


def test_an_image_depends_on_its_seed_alone_to_the_byte(opened):
    seeds = list(range(70))
    whole = np.concatenate(list(generate(opened, seeds)))
    assert whole.shape == (70, 32, 32, 3)
    assert len(np.unique(whole.reshape(70, -1), axis=0)) == 70
    for batch in (1, 7, 64, 1000):
        parts = list(generate(opened, seeds, batch))
        assert {len(part) for part in parts[:-1]} <= {batch}
        assert (np.concatenate(parts) == whole).all()
    backwards = np.concatenate(list(generate(opened, seeds[::-3], 5)))
    assert (backwards == whole[::-3]).all()
    assert (np.concatenate(list(generate(open_translator(opened.path), [5]))) == whole[5:6]).all()


def test_it_is_eq_13(opened):
    z_tilde = torch.randn(8, generator=torch.Generator().manual_seed(42))[None]
    with torch.no_grad():
        image = opened.network.backbone.decode(opened.translator.inverse(z_tilde))[0]
    expected = ((image.permute(1, 2, 0) + 1) * 127.5).round()
    assert np.abs(next(generate(opened, [42]))[0].astype(int) - expected.int().numpy()).max() <= 1


def test_a_truncated_prior_draws_nearer_to_the_middle(opened, latents):
    seeds = range(40)
    whole = latents(TranslatorPrior(opened), seeds)
    narrow = latents(TranslatorPrior(opened, 0.5), seeds)
    assert torch.allclose(opened.translator(narrow)[0], 0.5 * opened.translator(whole)[0], atol=1e-5)
    assert torch.equal(latents(TranslatorPrior(opened, 1.0), [7])[0], whole[7])


def test_the_backbones_prior_is_the_noise_itself(opened, latents):
    prior = BackbonePrior(opened.network.backbone)
    z = latents(prior, range(5))
    assert torch.equal(z, noise(range(5), prior.noise_dim))
    assert torch.equal(latents(BackbonePrior(opened.network.backbone, 0.25), range(5)), 0.25 * z)
    with torch.no_grad():
        expected = to_pixels(opened.network.backbone.decode(z))
    images = np.concatenate(list(generate_images(opened.network.backbone, prior, range(5), CPU)))
    assert np.abs(images.astype(int) - expected).max() <= 1


def test_latents_do_not_depend_on_batch_ranks_or_a_restart(opened, latents):
    prior, seeds = TranslatorPrior(opened), [*range(500, 900), *range(300)]
    whole = latents(prior, seeds)
    for batch in (1, 7, 64):
        some = seeds[:130]
        parts = [latents(prior, some[start : start + batch]) for start in range(0, len(some), batch)]
        assert torch.equal(torch.cat(parts), whole[: len(some)])
    shards = cut(seeds)
    for ranks in (1, 2, 3):
        of_rank = [shard for rank in range(ranks) for shard in shards[rank::ranks]]
        found = {shard.number: latents(prior, shard.seeds) for shard in of_rank}
        assert torch.equal(torch.cat([found[number] for number in range(len(shards))]), whole)
    restarted = latents(TranslatorPrior(open_translator(opened.path)), seeds)
    assert torch.equal(restarted, whole)
