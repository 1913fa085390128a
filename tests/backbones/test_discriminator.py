import torch

from iin_cli.backbones.discriminator import PatchDiscriminator, discriminator_loss, feature_similarity


def test_a_patch_sees_70_by_70_pixels():
    model = PatchDiscriminator(width=2, generator=torch.Generator().manual_seed(0)).double()
    x = torch.randn(1, 3, 256, 256, dtype=torch.double, requires_grad=True)
    logits, _ = model(x)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    seen = (x.grad.abs().sum((0, 1)) > 0).nonzero()
    height, width = (seen.amax(0) - seen.amin(0) + 1).tolist()
    assert (height, width) == (70, 70)


def test_verdicts_do_not_depend_on_the_rest_of_the_batch():
    model = PatchDiscriminator(width=4)
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(model(x)[0][1:2], model(x[1:2])[0], atol=1e-5, rtol=1e-4)


def test_weights_depend_on_the_generator_only():
    one, two = (PatchDiscriminator(4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_hinge_loss_by_hand():
    loss = discriminator_loss(torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 1.0]))
    assert loss.item() == 0.5 * (0.25 + 1.0)


def test_similarity_is_relative_to_the_real_features_and_leaves_them_alone():
    real = [torch.ones(2, 3, 4, 4, requires_grad=True), torch.full((2, 5, 2, 2), 10.0)]
    assert feature_similarity(real, real).item() == 0
    fake = [torch.zeros(2, 3, 4, 4, requires_grad=True), torch.zeros(2, 5, 2, 2)]
    distance = feature_similarity(real, fake)
    assert distance.item() == 1
    distance.backward()
    assert real[0].grad is None
    assert fake[0].grad.abs().sum() > 0
