"""The fit end to end in this process: factors, proofs, provenance, determinism, bad input, resume."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iin_cli.acceleration.encoder import Encoder
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.errors import DataError, DivergedError, UsageError
from iin_cli.fitting import fit as module
from iin_cli.fitting.translator_fit import TranslatorFit
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.interpretation.opening import FEATURE_NOISE, open_translator
from iin_cli.io import checkpoint
from iin_cli.plan import Wishes
from iin_cli.training.runs import RunChoice

TINY = Wishes(steps=6, blocks=2, hidden=16, depth=0, batch_pairs=16)


@pytest.fixture(autouse=True, scope="module")
def shared_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def fit(files, pictures, tmp_path):
    def run(concepts=("class", "color"), backbone=files.autoencoder, latents=None, wishes=TINY, cut=None, **options):
        source = latents or NetworkChoice(str(backbone), **(cut or {}))
        choice = RunChoice(**{"seed": 1, "out": tmp_path / "run", "device": "cpu", **options})
        return fit_translator(source, concepts, DataChoice(str(pictures)), wishes, choice)

    return run


def pairs_file(path, count=80, dim=4):
    z = torch.randn(2, count, dim, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 0, 0], [0, 1, 0]], dtype=torch.uint8).repeat(count // 2, 1)
    save_file({"z_a": z[0].contiguous(), "z_b": z[1].contiguous(), "mask": mask}, path)
    return path


def test_a_fit_is_saved_with_all_that_made_it(fit, files, pictures, tmp_path):
    result = fit()
    assert result.factors == dict(zip(("class", "color", "residual"), result.factors.values(), strict=True))
    assert sum(result.factors.values()) == 8
    assert set(result.scores) == {"class", "color"}
    assert (result.steps, result.stopped) == (6, "steps")
    assert result.rows_per_second > 0
    found = open_translator(tmp_path / "run")
    assert found.factors.dims == result.factors
    training = found.metadata["training"]
    for name in ("heldout_nll", "round_trip_error", "log_det_error", "rows_per_second"):
        assert training[name] == getattr(result, name)
    assert (training["seed"], training["steps"], training["preset"]) == (1, 6, "auto")
    assert found.metadata["backbone"]["sha256"] == checkpoint.digest(files.autoencoder)
    assert found.metadata["data"]["name"] == str(pictures)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "log.jsonl",
        "plan.json",
        "result.json",
        "translator.safetensors",
    ]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["history"][-1]["step"] == 6


def test_the_proofs_are_of_the_saved_translator(fit):
    result = fit()
    assert result.round_trip_error < 1e-4
    assert result.log_det_error < 1e-3
    translator = open_translator(Path(result.out)).translator
    z = torch.randn(4, 8)
    torch.testing.assert_close(translator.inverse(translator(z)[0]), z, atol=1e-4, rtol=0)


def test_a_classifier_keeps_its_classes_under_the_no_op(fit, files):
    result = fit(backbone=files.classifier)
    assert (result.decode_error, result.no_op_agreement) == (0, 1)
    training = open_translator(Path(result.out)).metadata["training"]
    assert (training["decode_error"], training["no_op_agreement"]) == (0, 1)
    saved = json.loads((Path(result.out) / "result.json").read_text())
    assert (saved["decode_error"], saved["no_op_agreement"]) == (0, 1)


def test_an_autoencoder_has_no_classes_to_keep(fit):
    result = fit()
    assert (result.decode_error, result.no_op_agreement) == (0, None)
    assert fit(dry_run=True).decode_error == 0


def test_a_registered_network_is_cut_at_a_layer(fit, tmp_path):
    network = {"backbone": "shufflenet_v2_x0_5", "concepts": ()}
    with pytest.raises(UsageError, match=r"--layer conv6: .* did you mean conv5"):
        fit(**network, cut={"weights": "none", "layer": "conv6"})
    assert not (tmp_path / "run").exists()
    result = fit(**network, cut={"weights": "none", "layer": "conv1"})
    assert result.factors == {"residual": 24}
    assert result.decode_error > 0
    found = open_translator(Path(result.out))
    assert found.metadata["backbone"]["layer"] == "conv1"
    assert found.network.latent_dim == 24


def test_one_seed_one_translator(fit, tmp_path):
    first = fit(out=tmp_path / "a")
    assert fit(out=tmp_path / "b").heldout_nll == first.heldout_nll
    assert fit(out=tmp_path / "c", seed=2).heldout_nll != first.heldout_nll
    one, two = (checkpoint.load(tmp_path / name / "translator.safetensors").tensors for name in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_dry_run_encodes_a_part_and_plans_for_all(fit, monkeypatch, cache):
    monkeypatch.setattr("iin_cli.commands.make.fit_translator.sample_size", lambda dim: 30)
    seen, posterior = [], Encoder.posterior
    monkeypatch.setattr(Encoder, "posterior", lambda self, images: seen.append(len(images)) or posterior(self, images))
    planned = fit(dry_run=True)
    assert sorted(len(np.load(file)) for file in cache.rglob("mean.npy")) == [30]
    facts = planned.facts()
    assert "steps" not in facts
    assert "rows per second" not in facts
    told = [row["value"] for title, rows in planned.tables() if title == "plan" for row in rows]
    assert None not in told
    assert all(isinstance(value, (str, int, float)) for value in told)
    fitted = fit()
    assert planned.plan["steps"] == fitted.plan["steps"]
    assert planned.plan["hidden"] == fitted.plan["hidden"]
    # The fit encodes what the plan did not; both read whole batches.
    images = sum(len(np.load(file)) for file in cache.rglob("items.npy")) - 30
    assert (seen[0], sum(seen[1:])) == (30, images - 30)


def test_a_plan_counts_renderings_too(fit, monkeypatch, cache):
    monkeypatch.setattr("iin_cli.commands.make.fit_translator.sample_size", lambda dim: 30)
    fit(concepts=("class", "greyscale"), dry_run=True)
    assert sorted(len(np.load(file)) for file in cache.rglob("mean.npy")) == [15, 15]


def test_a_dry_run_infers_and_writes_nothing(fit, tmp_path):
    result = fit(dry_run=True)
    assert result.checkpoint is None
    assert result.plan["hidden"] == 16
    assert sum(result.factors.values()) == 8
    assert [title for title, _ in result.tables()] == ["factors", "plan", "cost"]
    assert result.cost["parameters"] > 0
    assert not (tmp_path / "run").exists()
    # What sizes were made of, which is not Eq 11; JSON has that, too.
    first, *_, residual = dict(result.tables())["factors"]
    values, size = result.spectrum["concepts"][0]["values"], result.factors["class"]
    assert first["explained"] == (f"{values[0]:.2f} … {values[size - 1]:.2f}" if size > 1 else f"{values[0]:.2f}")
    assert (first["next"], first["sigma"]) == (f"{max(values[size], 0):.2f}", result.plan["sigma"])
    assert "score" not in first
    assert residual == {
        "factor": "residual",
        "dims": result.factors["residual"],
        **dict.fromkeys(("explained", "next", "sigma")),
    }
    assert "class" in result.as_dict()["scores"]


def test_the_published_presets_show_the_scores_that_sizes_were_made_of(fit):
    rows = dict(fit(dry_run=True, wishes=Wishes(preset="paper", max_seconds=1)).tables())["factors"]
    assert [row["score"] for row in rows][-1] == 1.0
    assert all(0 <= row["score"] <= 1 for row in rows)


def test_sizes_and_sigmas_of_the_user(fit):
    wishes = Wishes(steps=1, blocks=1, hidden=8, depth=0, batch_pairs=4, preset="compvis", sigma={"class": 0.5})
    result = fit(wishes=replace(wishes, dims={"color": 2, "class": 3}))
    factors = open_translator(Path(result.out)).factors
    assert [(factor.name, factor.dim, factor.sigma) for factor in factors] == [
        ("class", 3, 0.5),
        ("color", 2, 0.975),
        ("residual", 3, 0.975),
    ]
    assert result.scores == {}


def test_without_concepts_all_is_residual(fit):
    assert fit(()).factors == {"residual": 8}


def test_a_differ_concept(fit):
    result = fit(("greyscale",))
    assert open_translator(Path(result.out)).factors.mask("greyscale") == (0, 1)


def test_the_feature_noise_is_saved_and_found_again(fit, files, tmp_path):
    kept = checkpoint.load(Path(fit(backbone=files.classifier).out) / "translator.safetensors")
    assert kept.metadata["training"]["feature_noise"] > 0
    found = open_translator(tmp_path / "run")
    assert torch.equal(found.noise.std, kept.tensors[FEATURE_NOISE])
    assert found.noise.std.shape == (8,)
    assert (found.noise.std > 0).all()
    # A stochastic encoder needs none.
    assert FEATURE_NOISE not in checkpoint.load(Path(fit(out=tmp_path / "ae").out) / "translator.safetensors").tensors
    assert open_translator(tmp_path / "ae").noise is None


def test_pairs_from_a_file(fit, tmp_path):
    path = pairs_file(tmp_path / "pairs.safetensors")
    result = fit(("digit", "color"), latents=path)
    found = open_translator(Path(result.out))
    assert found.metadata["backbone"] is None
    assert found.metadata["data"]["fingerprint"] == checkpoint.digest(path)
    assert found.factors.names == ("digit", "color", "residual")
    assert fit((), latents=path, out=tmp_path / "single").factors == {"residual": 4}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"wishes": Wishes(dims={"class": 4})}, UsageError, "--dims names class; the concepts are class, color"),
        ({"wishes": Wishes(dims={"class": 4, "color": 4})}, UsageError, "leave 0 of 8 for the residual"),
        ({"wishes": Wishes(dims={"class": 4, "color": 2, "residual": 3})}, UsageError, "do not sum to the latent's 8"),
        ({"wishes": Wishes(sigma={"clas": 0.5})}, UsageError, "--sigma names 'clas': did you mean class"),
        ({"concepts": ("clas",)}, UsageError, "did you mean class"),
        ({"concepts": ("digit",)}, DataError, "needs the label 'digit', and .* has: class, color"),
        ({"resume": True}, UsageError, "no interrupted run"),
    ],
)
def test_what_cannot_be_fitted(fit, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        fit(**options)
    assert not (tmp_path / "run").exists()


def test_a_fit_that_diverges_keeps_its_best_weights(fit, tmp_path):
    with pytest.raises(
        DivergedError, match=r"times the default 0\.001: lower it\. The best weights, of step 0, are kept"
    ):
        fit(wishes=Wishes(steps=50, blocks=2, hidden=16, learning_rate=1e30))
    (kept,) = tmp_path.rglob("translator.safetensors")
    assert all(tensor.isfinite().all() for tensor in checkpoint.load(kept, "translator").tensors.values())
    assert {file.name for file in kept.parent.iterdir()} == {
        "log.jsonl",
        "plan.json",
        "result.json",
        "translator.safetensors",
    }


def test_a_fit_that_diverges_before_any_validation_leaves_nothing(fit, tmp_path):
    with pytest.raises(DivergedError):
        fit(wishes=Wishes(preset="paper", steps=50, blocks=2, hidden=16, learning_rate=1e30))
    assert not list(tmp_path.rglob("plan.json"))


def test_an_interrupted_fit_is_resumed_exactly(fit, tmp_path, monkeypatch):
    expected = fit(out=tmp_path / "undisturbed")
    step = TranslatorFit.step

    def interrupted(self, number, fraction):
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, fraction)

    monkeypatch.setattr(TranslatorFit, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "log.jsonl",
        "plan.json",
        "training-state.safetensors",
    ]
    monkeypatch.setattr(TranslatorFit, "step", step)
    with pytest.raises(UsageError, match="plan hidden 16, and now it is 8"):
        fit(resume=True, wishes=Wishes(steps=6, blocks=2, hidden=8, depth=0, batch_pairs=16))
    result = fit(resume=True, seed=None)
    assert (result.seed, result.steps, result.heldout_nll) == (1, 6, expected.heldout_nll)
    one, two = (checkpoint.load(tmp_path / n / "translator.safetensors").tensors for n in ("run", "undisturbed"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not (tmp_path / "run" / "training-state.safetensors").exists()
    with pytest.raises(UsageError, match="has finished"):
        fit(resume=True)


def test_an_interrupt_while_proving_leaves_no_folder(fit, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "log_det_error", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert not (tmp_path / "run").exists()
