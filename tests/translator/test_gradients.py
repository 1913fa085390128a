"""Gradients that are written out are those of finite differences, in every input."""

from itertools import pairwise

import pytest
import torch

from iin_cli.translator.gradients import affine, normed, permuted, scale_and_shift


def noise(*shape, seed=0):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_()


SIZES = [3, 5, 5, 2]
WEIGHTS = [noise(2, inputs, outputs, seed=inputs) for inputs, outputs in pairwise(SIZES)]
BIASES = [noise(2, 1, outputs, seed=7 + outputs) for outputs in SIZES[1:]]
HALF, OTHER = noise(4, 3), noise(4, 2, seed=1)


def test_the_gradients_of_the_nets():
    def nets(half, *parameters):
        return scale_and_shift(half, parameters[:3], parameters[3:])

    assert torch.autograd.gradcheck(nets, (HALF, *WEIGHTS, *BIASES))


def test_the_gradients_of_a_coupled_half():
    def coupled(half, other, *parameters):
        return affine(half, other, parameters[:3], parameters[3:])

    assert torch.autograd.gradcheck(coupled, (HALF, OTHER, *WEIGHTS, *BIASES))


def test_the_gradients_of_an_actnorm():
    # A negative scale is allowed, and only its size counts.
    scale = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normed, (OTHER, noise(2), scale))


def test_the_gradients_of_a_permutation():
    order = torch.tensor([2, 0, 1])
    assert torch.equal(permuted(HALF, order, order.argsort()), HALF[:, order])
    assert torch.autograd.gradcheck(lambda z: permuted(z, order, order.argsort()), (HALF,))


def test_frozen_weights_let_the_gradient_of_z_through():
    whole = torch.autograd.grad(affine(HALF, OTHER, WEIGHTS, BIASES)[0].square().sum(), (HALF, OTHER))
    frozen = [weight.detach() for weight in (*WEIGHTS, *BIASES)]
    alone = torch.autograd.grad(affine(HALF, OTHER, frozen[:3], frozen[3:])[0].square().sum(), (HALF, OTHER))
    assert all(torch.equal(first, second) for first, second in zip(whole, alone, strict=True))


@pytest.mark.parametrize("bfloat16", [False, True])
def test_products_follow_the_autocast_and_weights_keep_their_type(bfloat16):
    half, other, *parameters = (each.detach().float().requires_grad_() for each in (HALF, OTHER, *WEIGHTS, *BIASES))
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out, log_det = affine(half, other, parameters[:3], parameters[3:])
    assert out.dtype == log_det.dtype == torch.float32
    exact = affine(HALF, OTHER, WEIGHTS, BIASES)[0].float()
    error = ((out - exact).norm() / exact.norm()).item()
    assert (1e-4 < error < 0.05) if bfloat16 else error < 1e-6
    out.square().sum().backward()
    assert {each.grad.dtype for each in (half, other, *parameters)} == {torch.float32}
