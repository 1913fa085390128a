"""Compiled passes are the module's own, and a machine that cannot compile runs the module itself."""

import pytest
import torch

from iin_cli.acceleration.compiling import Compiled
from iin_cli.translator.flow import Translator


@pytest.fixture
def translator():
    return Translator(6, blocks=1, hidden=8, depth=1)


@pytest.fixture
def compiled(monkeypatch):
    """Traces as a compiler does, without the minute that its kernels take; keeps how it was asked."""
    asked, compile_ = [], torch.compile

    def traced(module, **settings):
        asked.append(settings)
        return compile_(module, backend="aot_eager", dynamic=settings["dynamic"])

    monkeypatch.setattr(torch, "compile", traced)
    return asked


@pytest.mark.slow
def test_values_and_gradients_are_the_modules_own(translator, compiled, heard):
    z = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for module in (translator, Compiled(translator, heard)):
        z_tilde, log_det = module(z)
        (z_tilde.square().sum() - log_det.sum()).backward()
        found.append([z_tilde.detach(), log_det.detach(), *(p.grad.clone() for p in translator.parameters())])
        translator.zero_grad()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert compiled == [{"dynamic": False}]


def test_what_cannot_be_compiled_runs_as_it_is(translator, monkeypatch, heard):
    def fails(module, **settings):
        raise RuntimeError("no C++ compiler\nand a trace")

    monkeypatch.setattr(torch, "compile", fails)
    z = torch.randn(5, 6)
    module = Compiled(translator, heard)
    for _ in range(2):
        torch.testing.assert_close(module(z)[0], translator(z)[0])
    assert heard.warnings == ["the passes are not compiled, and run as without --compile: no C++ compiler"]
