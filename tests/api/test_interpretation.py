"""The verbs of the Python API: what they return, that they print and write nothing, and what they refuse."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import iin_cli as iin


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch, capfd):
    """Fail where a verb prints, or writes into the working directory or the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    yield
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "cache").exists()


def verbs(memory):
    t, x = memory.t, memory.x
    recipe = iin.Recipe((iin.Change("kind", "other", 0.5), iin.Change("size", 3, move=(1.0, 0.0))))
    return {
        "swap": lambda: t.swap(x[:2], x[2:4], "kind"),
        "walk": lambda: t.walk(x[:2], iin.OUWalk("size", steps=4)),
        "linear": lambda: t.walk(x[:2], iin.LinearWalk(steps=4), to=x[2:4]),
        "sample": lambda: t.sample(range(5)),
        "respond": lambda: t.respond(x[:30], iin.OUWalk(steps=3), controls=1),
        "audit": lambda: t.audit(x, {"kind": memory.kind, "size": memory.size}, resampling=iin.Resampling(20, 5)),
        "explain": lambda: t.explain(x[:1], among=x[10:60], labels={"class": memory.kind[10:60]}),
        "edit": lambda: t.edit(
            x[:1], recipe, sources={"other": x[5:6]}, among=x[10:60], labels={"class": memory.kind[10:60]}
        ),
        "counterfactual": lambda: t.counterfactual(x[:1], "all", among=x[10:60]),
        "embed": lambda: t.embed(x[:40], labels={"class": memory.kind[:40]}, walk=iin.OUWalk(steps=3)),
    }


@pytest.mark.parametrize(
    "verb", ["swap", "walk", "linear", "sample", "respond", "audit", "explain", "edit", "counterfactual", "embed"]
)
def test_every_verb_returns_a_result_and_leaves_nothing_behind(memory, verb, tmp_path):
    result = verbs(memory)[verb]()
    assert isinstance(result, iin.Result)
    assert json.loads(json.dumps(result.as_dict()))
    assert all(isinstance(title, str) and len(rows) for title, rows in result.tables())
    assert "<table>" in result._repr_html_()
    if verb in ("swap", "sample", "edit"):
        with pytest.raises(iin.UsageError, match="picture"):
            result.plot()
    else:
        assert result.plot()._repr_png_().startswith(b"\x89PNG")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("as_mask", [False, True])
def test_probes_learn_from_rows_that_are_not_audited(memory, as_mask):
    rows = np.arange(len(memory.x) // 2, len(memory.x))
    training = np.isin(np.arange(len(memory.x)), rows) if as_mask else torch.from_numpy(rows)
    quick = iin.Resampling(20, 5)
    found = memory.t.audit(memory.x, {"kind": memory.kind, "size": memory.size}, training=training, resampling=quick)
    assert (found.n, found.training) == (len(memory.x) - len(rows), len(rows))
    assert memory.t.audit(memory.x, {"kind": memory.kind}, resampling=quick).training == 0


def test_a_translator_is_invertible_and_returns_what_it_was_given(memory):
    z = memory.z[:6]
    z_tilde = memory.t.transform(z)
    assert isinstance(z_tilde, torch.Tensor)
    torch.testing.assert_close(memory.t.inverse_transform(z_tilde), z, atol=1e-5, rtol=1e-4)
    as_array = memory.t.transform(z.double().numpy())
    assert isinstance(as_array, np.ndarray)
    np.testing.assert_allclose(as_array, z_tilde, rtol=1e-6)
    assert memory.t.transform(z.reshape(2, 3, -1)).shape == (2, 3, memory.z.shape[1])


def test_a_swap_changes_one_factor_only(memory):
    t, x = memory.t, memory.x
    z_star = t.swap(x[:3], x[3:6], "kind").z
    before, source, after = (t.transform(z) for z in (memory.z[:3], memory.z[3:6], z_star))
    own = t.factors.slice("kind")
    torch.testing.assert_close(after[:, own], source[:, own], atol=1e-4, rtol=1e-4)
    kept = [name for name in t.factors.names if name != "kind"]
    for name in kept:
        torch.testing.assert_close(
            after[:, t.factors.slice(name)], before[:, t.factors.slice(name)], atol=1e-4, rtol=1e-4
        )


def test_an_axis_points_away_from_what_has_it(memory):
    has = memory.size == 1
    axis = memory.t.axis(memory.x, has)
    z_tilde = memory.t.transform(memory.z)
    torch.testing.assert_close(axis, z_tilde[~has].mean(0) - z_tilde[has].mean(0), atol=1e-4, rtol=1e-4)


def test_equal_seeds_give_equal_fits_and_samples(memory):
    again = iin.fit(memory.pairs, network=memory.net, seed=0, steps=40, blocks=2, hidden=16)
    assert torch.equal(again.transform(memory.z), memory.t.transform(memory.z))
    assert torch.equal(memory.t.sample([7]).z, memory.t.sample(range(5, 9)).z[2:3])
    assert memory.t.plan["seed"] == 0
    assert memory.t.history[-1]["step"] == 40


def test_what_is_saved_is_opened_again_by_python_and_by_the_command_line(memory, tmp_path):
    file = memory.t.save(tmp_path / "t")
    assert file == tmp_path / "t" / "translator.safetensors"
    loaded = iin.load(tmp_path / "t", network=memory.net)
    assert torch.equal(loaded.transform(memory.z), memory.t.transform(memory.z))
    assert torch.equal(loaded.noise.std, memory.t.noise.std)
    assert (
        repr(loaded)
        == repr(memory.t)
        == "Interpretation(Sequential: kind {kind}, size {size}, residual {residual})".format(**memory.t.factors.dims)
    )
    done = subprocess.run(
        [sys.executable, "-m", "iin_cli", "swap", "-t", str(file), "-f", "kind"], capture_output=True, text=True
    )
    assert done.returncode == 4
    assert "given from Python" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "iin_cli", "info", str(file), "--json"], capture_output=True, text=True
    )
    assert json.loads(done.stdout)["kind"] == "translator"


def test_another_network_is_refused(memory, tmp_path):
    memory.t.save(tmp_path / "t.safetensors")
    other = iin.Network.cut(nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 3)), "2")
    with pytest.raises(iin.CheckpointError, match="is not the network"):
        iin.load(tmp_path / "t.safetensors", network=other)


def test_a_report_is_one_new_page(memory, tmp_path):
    page = tmp_path / "report.html"
    result = memory.t.report(memory.x[:60], page, labels={"kind": memory.kind[:60], "class": memory.kind[:60]})
    assert result.out == str(page)
    assert "What a network knows" in page.read_text()
    assert "Audit" in result.made
    with pytest.raises(iin.UsageError, match="exists already"):
        memory.t.report(memory.x[:60], page)


def test_without_a_network_there_is_a_translator(memory):
    t = iin.fit(memory.pairs, seed=0, steps=3, blocks=1, hidden=8)
    assert repr(t).startswith("Interpretation(latents alone")
    assert t.transform(memory.z).shape == memory.z.shape
    assert t.sample([0]).predicted is None
    with pytest.raises(iin.UsageError, match="without a backbone"):
        t.respond(memory.x)


def test_a_network_that_draws(memory):
    net = iin.Network(
        lambda x: x.flatten(1)[:, :12], lambda z: z.repeat(1, 16).view(-1, 3, 8, 8).tanh(), name="painter"
    )
    z = net.encode(memory.x)
    t = iin.fit(iin.Pairs(z).share("kind", memory.kind), network=net, seed=0, steps=3, blocks=1, hidden=8)
    for result in (
        t.swap(memory.x[:2], memory.x[2:4], "kind"),
        t.sample(range(5)),
        t.walk(memory.x[:4], iin.GridWalk(steps=3)),
    ):
        assert result.plot()._repr_png_().startswith(b"\x89PNG")
    assert t.sample(range(5)).images.shape == (5, 8, 8, 3)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda m: m.t.transform(m.z[:, :5]), iin.DataError, "z has 5 numbers per row, needs 12"),
        (lambda m: m.t.transform(torch.full((2, 12), float("nan"))), iin.DataError, "z is not finite in row 0"),
        (lambda m: m.t.transform(np.zeros((2, 12), complex)), iin.DataError, "z holds complex128"),
        (lambda m: m.t.transform("z"), iin.DataError, "z is str"),
        (lambda m: m.t.swap(m.x[:2], m.x[2:4], "kin"), iin.UsageError, "did you mean kind"),
        (lambda m: m.t.walk(m.x[:2], iin.LinearWalk()), iin.UsageError, "give to="),
        (lambda m: m.t.walk(m.x[:2], iin.OUWalk("kind"), to=m.x[:2]), iin.UsageError, "leave to out"),
        (lambda m: m.t.walk(m.x[:2], iin.OUWalk("kind", gamma=2)), iin.UsageError, "gamma must be in"),
        (lambda m: m.t.sample([]), iin.UsageError, "no seeds"),
        (lambda m: m.t.sample([1], truncation=2), iin.UsageError, "at most 1"),
        (lambda m: m.t.axis(m.x[:3], [1, 0]), iin.DataError, "one value each"),
        (lambda m: m.t.audit(m.x, {"kind": m.kind[:7]}), iin.DataError, r"labels 'kind' have shape \(7,\)"),
        (lambda m: m.t.audit(m.x, {}, training=slice(None)), iin.UsageError, "some to learn from, not all"),
        (lambda m: m.t.audit(m.x, {}, training=[10**6]), iin.UsageError, "give row numbers below"),
        (lambda m: m.t.respond(m.x[:3].to(torch.int32)), iin.DataError, "images are int32"),
        (
            lambda m: iin.fit(iin.Pairs(m.z[:, :5]), network=m.net),
            iin.UsageError,
            "latents of 5 dimensions, Sequential of 12",
        ),
        (lambda m: iin.fit(m.pairs, sigma={"kin": 0.5}), iin.UsageError, "did you mean kind"),
        (lambda m: iin.fit(m.pairs, dims={"kind": 3}), iin.UsageError, "the concepts are kind, size"),
        (lambda m: iin.fit(m.pairs, device="tpu9"), iin.UsageError, "--device 'tpu9'"),
        (lambda m: iin.load("nowhere"), iin.CheckpointError, "no such checkpoint: nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(memory, call, error, says):
    with pytest.raises(error, match=says) as raised:
        call(memory)
    assert "\n" not in str(raised.value)


def test_progress_is_told_to_a_function(memory):
    told = []
    iin.fit(memory.pairs, seed=0, steps=3, blocks=1, hidden=8, progress=lambda *what: told.append(what))
    assert {what[0] for what in told} >= {"fitting the translator"}


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import iin_cli, sys; dir(iin_cli); print(*{'torch', 'numpy', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == ""


def test_every_public_name_is_there_and_documented():
    for name in iin.__all__:
        assert getattr(iin, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = iin.nothing


@pytest.mark.parametrize("draws", [0, 3])
def test_a_network_in_memory_without_a_factor(memory, draws):
    t = memory.t
    network = t.erase("size", draws=draws)
    z = network.encode(memory.x)
    assert t.transform(z)[:, t.factors.slice("size")].abs().max() < 1e-4
    assert network.classes == ("a", "b", "c")
    exchanged = t.transform(memory.z).clone()
    exchanged[:, t.factors.slice("size")] += 1
    answers = network.answers(t.inverse_transform(exchanged))
    torch.testing.assert_close(answers, network.answers(z), atol=1e-3, rtol=1e-3)
    assert network.name == "Sequential without size"


def test_what_other_factors_keep_goes_with_the_factor(memory):
    dark = (
        memory.x
        * torch.linspace(0.3, 0.9, 240)[torch.randperm(240, generator=torch.Generator().manual_seed(0))][
            :, None, None, None
        ]
    )
    pairs = iin.Pairs(memory.z).share("kind", memory.kind).differ("light", memory.net.encode(dark))
    t, seen = iin.fit(pairs, network=memory.net, method="linear", seed=0), []
    alone, network = t.erase("light"), t.erase("light", pairs=pairs, progress=lambda *what: seen.append(what[0]))
    # How far twins are from each other in the factors that are kept.
    apart = [
        float((t.transform(each.encode(memory.x)) - t.transform(each.encode(dark))).square().mean())
        for each in (alone, network)
    ]
    assert apart[1] < 0.8 * apart[0]
    assert set(seen) == {"learning what other factors keep"}
    with pytest.raises(iin.DataError, match="differ in kind alone"):
        t.erase("kind", pairs=pairs)
