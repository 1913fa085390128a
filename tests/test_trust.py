"""A file that is not as it was saved is refused by name, whatever in it was changed; it never gives another result."""

import errno
import json
import math
import os
import struct
from contextlib import suppress

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iin_cli.errors import CheckpointError, DataError, ResourceError, UsageError
from iin_cli.interpretation.erased import Erased
from iin_cli.interpretation.opening import describe_backbone, open_network, open_translator
from iin_cli.io import checkpoint, tensor_file
from iin_cli.io.manifest import Manifest
from iin_cli.io.rundir import recorded_seed
from iin_cli.io.training_state import read_state, write_state
from iin_cli.latents import cache as latents
from iin_cli.latents.files import read_iin_metadata, read_rows, verified
from iin_cli.progress import Silent
from iin_cli.training.loop import Schedule, optimise
from iin_cli.training.resuming import resumable
from iin_cli.translator.erasing import Eraser
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator
from iin_cli.translator.soundness import unsound

# Values of other types, and numbers that JSON does not have or that no computer holds.
WRONG = (None, True, -1, 0, 2.5, 10**30, "x", "", [], [[]], {}, {"a": 1}, math.inf, math.nan, "x" * 10**5)


class Listener(Silent):
    def __init__(self):
        self.notes, self.warnings = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def closed_form(tmp_path):
    """A translator with every kind of layer, in a file."""
    translator = Translator(6, blocks=2, hidden=8, depth=1, linear_start=True, within=[2, 4], gaussianise=True)
    factors = [{"name": "a", "dim": 2, "sigma": 0.9}, {"name": "residual", "dim": 4, "relation": "rest"}]
    metadata = {"kind": "translator", "name": "translator", "config": translator.config, "factors": factors}
    checkpoint.save(tmp_path / "t.safetensors", translator.state_dict(), metadata)
    return tmp_path / "t.safetensors"


def rewritten(path, change=None, **metadata):
    """Write `path` again with other metadata or tensors and digests that agree."""
    file = checkpoint.load(path)
    tensors = dict(file.tensors)
    if change is not None:
        change(tensors)
    checkpoint.save(path, tensors, {**file.metadata, **metadata})
    return path


def with_raw_metadata(path, text):
    save_file(checkpoint.load(path).tensors, path, {"iin": text})
    return path


def flipped(path, place, bit=0):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return path


def start_of_data(path):
    return 8 + struct.unpack("<Q", path.read_bytes()[:8])[0]


def refused(call, *arguments, error=CheckpointError):
    with pytest.raises(error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000
    return str(caught.value)


def test_every_flipped_bit_of_a_translator_is_noticed(closed_form):
    whole = closed_form.read_bytes()
    places = np.random.default_rng(0).integers(start_of_data(closed_form), len(whole), 60)
    for place in places:
        flipped(closed_form, int(place), int(place) % 8)
        assert "t.safetensors is damaged" in refused(open_translator, closed_form)
        closed_form.write_bytes(whole)
    assert open_translator(closed_form).factors.dim == 6


def test_every_flipped_bit_of_a_header_is_noticed(closed_form):
    whole = closed_form.read_bytes()
    for place in np.random.default_rng(1).integers(0, start_of_data(closed_form), 60):
        flipped(closed_form, int(place), int(place) % 7)
        refused(open_translator, closed_form)
        closed_form.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("layers.0.scale", lambda t: t.index_fill_(0, torch.tensor(1), 0), "not positive"),
        ("layers.0.loc", lambda t: t.index_fill_(0, torch.tensor(1), math.nan), "not finite"),
        ("layers.0.first", lambda t: t.mul_(1.1), "no rotation"),
        ("layers.1.x", lambda t: t.fill_(1), "does not rise"),
        ("layers.2.chains.0.0.scale", lambda t: t.zero_(), "has a zero"),
        ("layers.2.chains.1.2.order", lambda t: t.zero_(), "no permutation"),
        ("layers.2.chains.1.2.order", lambda t: t.add_(100), "no permutation"),
        ("layers.2.chains.1.2.back", lambda t: t.copy_(t.roll(1)), "no permutation"),
        ("layers.0.loc", lambda t: t.double(), "F64"),
        ("layers.0.loc", lambda t: t.long(), "I64"),
        ("layers.0.loc", lambda t: t.to(torch.complex64), "C64"),
        ("layers.0.loc", lambda t: t[:-1], "is F32"),
        ("layers.0.loc", lambda t: None, "lacks layers.0.loc"),
    ],
)
def test_a_translator_that_is_no_invertible_map_is_refused(closed_form, name, change, message):
    def changed(tensors):
        found = change(tensors.pop(name).clone())
        if found is not None:
            tensors[name] = found

    assert message in refused(open_translator, rewritten(closed_form, changed))


def test_an_ordinary_translator_is_sound():
    for settings in ({}, {"linear_start": True}, {"within": [1, 5]}, {"linear_start": True, "gaussianise": True}):
        assert unsound(Translator(6, blocks=2, hidden=8, **settings)) is None


def test_a_tiny_file_that_asks_for_much_is_refused_at_once(closed_form, files, monkeypatch):
    # Nothing may be built on a device that has memory.
    monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *_, **__: pytest.fail("memory was taken"))
    config = checkpoint.describe(closed_form)["config"]
    for more in ({"hidden": 20_000}, {"hidden": 10**9}, {"blocks": 10**6}, {"depth": 10**6}, {"within": [10**6]}):
        refused(open_translator, rewritten(closed_form, config={**config, **more}))
    for more in ({"dim": 10**9}, {"within": [1] * 10**4, "blocks": 0}):
        refused(open_translator, rewritten(closed_form, config={**config, **more}))


def test_a_backbone_that_asks_for_much_is_refused_at_once(files, tmp_path):
    for more in ({"base_channels": 10**5}, {"image_size": 2**20}, {"latent_dim": 10**7}):
        whole = checkpoint.load(files.autoencoder)
        path = tmp_path / "b.safetensors"
        checkpoint.save(path, whole.tensors, {**whole.metadata, "config": {**whole.metadata["config"], **more}})
        assert "does not hold the autoencoder" in refused(open_network, path)


def test_a_backbone_that_diverged_or_decayed_is_refused(files, tmp_path):
    path = tmp_path / "b.safetensors"
    path.write_bytes(files.autoencoder.read_bytes())
    flipped(path, len(path.read_bytes()) - 2)
    assert "is damaged" in refused(open_network, path)
    path.write_bytes(files.autoencoder.read_bytes())
    rewritten(path, lambda tensors: tensors["encoder.to_latent.bias"].fill_(math.nan))
    assert "not finite (encoder.to_latent.bias)" in refused(open_network, path)


def edits(value, path=()):
    """Every place in JSON values, as a path of keys."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from edits(inner, (*path, key))


def edited(value, path, new):
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return copy


@pytest.mark.parametrize("agreeing", [True, False])
def test_metadata_of_other_types_are_refused_by_name(closed_form, agreeing):
    whole, found = closed_form.read_bytes(), checkpoint.load(closed_form)
    described = {key: value for key, value in found.metadata.items() if key != "digest"}
    original = described if agreeing else found.metadata
    for number, path in enumerate(edits(original)):
        # A few of them at every place, and all of them at some.
        for wrong in (WRONG[(4 * number + more) % len(WRONG)] for more in range(4)):
            if (changed := edited(original, path, wrong)) == original:
                continue
            if agreeing:
                checkpoint.save(closed_form, found.tensors, changed)
            else:
                with_raw_metadata(closed_form, json.dumps(changed))
            assert_refused_or_the_same(closed_form, found.metadata["config"], agreeing)
            closed_form.write_bytes(whole)


def assert_refused_or_the_same(path, config, may_open):
    try:
        opened = open_translator(path)
    except CheckpointError as error:
        said = str(error)
    else:
        # What was changed is a word that is shown and not used.
        assert may_open
        assert opened.translator.config == config
        return
    assert len(said) < 2000


def test_metadata_without_end_are_refused(closed_form):
    text = json.dumps(checkpoint.describe(closed_form))
    for content in ("[" * 10**5, '{"a":' * 10**4, text[:-1], "nonsense", "[]", "1", text.replace("0.9", "Infinity")):
        whole = closed_form.read_bytes()
        assert "damaged metadata" in refused(open_translator, with_raw_metadata(closed_form, content))
        closed_form.write_bytes(whole)
    deep = {"kind": "translator", "format_version": 1, "training": json.loads("[" * 150 + "]" * 150)}
    assert "nested" in refused(open_translator, with_raw_metadata(closed_form, json.dumps(deep)))


def test_a_text_of_megabytes_is_not_printed(closed_form):
    assert "10,000,000 characters" in refused(checkpoint.describe, rewritten(closed_form, versions={"x": "y" * 10**7}))


def test_figures_that_are_not_finite_become_null(tmp_path):
    checkpoint.save(tmp_path / "x", {}, {"kind": "x", "training": {"a": math.nan, "b": [math.inf, 1.5]}})
    assert checkpoint.describe(tmp_path / "x")["training"] == {"a": None, "b": [None, 1.5]}


def test_a_file_of_before_digests_opens_and_is_named_once(closed_form, monkeypatch):
    metadata = {**checkpoint.describe(closed_form), "format_version": 1}
    del metadata["digest"]
    with_raw_metadata(closed_form, json.dumps(metadata))
    monkeypatch.setattr(checkpoint, "_said", set())
    listener = Listener()
    for _ in range(2):
        assert open_translator(closed_form, report=listener).factors.dim == 6
    assert len(listener.notes) == 1
    assert "iin 0.1" in listener.notes[0]
    # Of a later format none has lost its digest.
    with_raw_metadata(closed_form, json.dumps({**metadata, "format_version": 2}))
    assert "no digest" in refused(open_translator, closed_form)


def test_the_digest_of_a_file_is_that_of_its_tensors(tmp_path):
    tensors = {
        str(number): torch.ones(3, 2).to(dtype)
        for number, dtype in enumerate(getattr(torch, name) for name in tensor_file.DTYPES.values())
        if not str(dtype).startswith("torch.uint") or dtype == torch.uint8
    }
    tensors |= {"scalar": torch.tensor(1.5), "empty": torch.ones(0, 3)}
    save_file(tensors, tmp_path / "x")
    assert tensor_file.digest_of_file(tmp_path / "x") == tensor_file.digest_of_tensors(tensors)


def test_latents_are_compared_with_their_digest(tmp_path):
    path = tmp_path / "z.safetensors"
    checkpoint.save(path, {"z": torch.randn(5, 4)}, {"kind": "latents"})
    assert read_rows(verified(path), "z").shape == (5, 4)
    flipped(path, start_of_data(path) + 6)
    assert "z.safetensors is damaged" in refused(verified, path)
    save_file({"z": torch.randn(5, 4)}, path, {"iin": "[]"})
    refused(read_iin_metadata, path)


@pytest.mark.parametrize("damage", ["flip", "zeros", "empty", "cut", "gone", "digests", "unknown"])
def test_a_damaged_entry_of_the_cache_is_made_again(cache, damage):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)

    def encode(listener):
        def mean(batch):
            return batch.mean((2, 3)), None

        return latents.cached({"a": 1}, np.arange(len(images)), images.__getitem__, mean, report=listener)

    expected = np.array(encode(Listener()).mean)
    (file,) = cache.rglob("mean.npy")
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "digests":
        (file.parent / "digests.json").write_text("[]")
    elif damage == "unknown":
        (file.parent / "digests.json").unlink()
    else:
        flip = bytes([*content[:-3], content[-3] ^ 1, *content[-2:]])
        file.write_bytes({"flip": flip, "zeros": bytes(len(content)), "empty": b"", "cut": content[:-5]}[damage])
    listener = Listener()
    np.testing.assert_array_equal(encode(listener).mean, expected)
    assert len(listener.warnings) == 1
    assert "encoded again" in listener.warnings[0]
    encode(quiet := Listener())
    assert quiet.warnings == []
    assert not list(cache.rglob(".part*"))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_under_the_cache_is_named_and_nothing_stays(cache, monkeypatch, call):
    images, real = np.zeros((6, 4, 4, 3), np.uint8), getattr(os, call)

    def encode():
        return latents.cached(
            {"a": 1}, np.arange(len(images)), images.__getitem__, lambda batch: (batch.mean((2, 3)), None)
        )

    def fails(*given, **more):
        # The entry as a whole, after its files.
        if call != "fsync" or os.path.isdir(f"/proc/self/fd/{given[0]}"):
            raise OSError(errno.EIO, "Input/output error")
        return real(*given, **more)

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fails)
        refused(encode, error=ResourceError)
    assert not list(cache.rglob("*.npy"))
    assert len(encode().mean) == 6


class Straight:
    """Follows a line, and can be stopped."""

    def __init__(self):
        self.w = torch.zeros(3)

    def step(self, step, fraction):
        self.w += torch.ones(3)
        return {"loss": 1.0}

    def validate(self):
        return {"score": -float(self.w[0])}

    def weights(self):
        return {"w": self.w}

    def load_weights(self, weights):
        self.w.copy_(weights["w"])

    def state_dict(self):
        return {"w": self.w}

    def load_state_dict(self, state):
        self.w.copy_(state["w"])


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr("iin_cli.training.saving.FIRST_SAVE_SECONDS", 0.0)
    optimise(Straight(), Schedule(4, validate_every=2), state_path=tmp_path / "s.safetensors")
    return tmp_path / "s.safetensors"


def resume(path):
    return optimise(Straight(), Schedule(6, validate_every=2), state_path=path, resume=True)


def test_a_damaged_state_is_not_resumed(state):
    whole = state.read_bytes()
    assert resume(state).steps == 6
    state.write_bytes(whole)
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        flipped(state, int(place), int(place) % 8)
        refused(resume, state)
        state.write_bytes(whole)


def test_a_state_of_other_types_is_not_resumed(state):
    whole = read_state(state)
    for path in edits(whole["loop"]):
        for wrong in ("x", [[]], {"a": "b"}):
            # Why a run diverged is a text.
            if path not in {("best",), ("history",)} and (path, wrong) != (("diverged",), "x"):
                write_state(state, {**whole, "loop": edited(whole["loop"], path, wrong)})
                assert "is not the state of this run" in refused(resume, state)
    for part in ("work", "best"):
        for wrong in (None, 1, [], {}, {"w": "x"}, {"w": torch.zeros(7)}):
            write_state(state, {**whole, part: wrong})
            refused(resume, state)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state["work"]["w"].fill_(math.nan), "not finite"),
        (lambda state: state["best"]["w"].fill_(math.inf), "not finite"),
        (lambda state: state["loop"].update(steps=-1), "negative"),
        (lambda state: state["loop"].update(seconds=-1.0), "negative"),
        (lambda state: state["loop"].update(history=[{"score": 1.0}]), "lacks a step"),
        # Only a step notices what an optimiser has taken over.
        (lambda state: state["work"].update(w=torch.zeros(5)), "must match"),
    ],
)
def test_a_state_that_no_training_has_is_not_resumed(state, change, said):
    forged = read_state(state)
    change(forged)
    write_state(state, forged)
    message = refused(resume, state)
    assert "is not the state of this run" in message
    assert said in message


def test_a_step_that_fails_later_is_no_fault_of_the_state(state, monkeypatch):
    def fails(self, step, fraction):
        if step == 5:
            raise ValueError("later")
        return {"loss": 1.0}

    monkeypatch.setattr(Straight, "step", fails)
    with pytest.raises(ValueError, match="later"):
        resume(state)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"seed": "x"}', '{"seed": null}', "[" * 10**5, '{"seed": 1'])
def test_a_plan_that_is_none_is_named(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    assert "plan.json is damaged" in refused(recorded_seed, tmp_path, None)
    with pytest.raises((CheckpointError, UsageError)), resumable(tmp_path, {"seed": 1}, True):
        pass


def test_a_plan_with_another_seed_is_not_resumed(tmp_path):
    with suppress(KeyboardInterrupt), resumable(tmp_path, {"seed": 1, "limit": math.inf}, False) as state:
        state.touch()
        raise KeyboardInterrupt
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert recorded_seed(tmp_path, None) == 1
    with suppress(KeyboardInterrupt), resumable(tmp_path, {"seed": 1, "limit": math.inf}, True):
        raise KeyboardInterrupt
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "seed": 2}))
    assert "plan.json is damaged: it is not as it was saved" in refused(recorded_seed, tmp_path, None)
    # A run of 0.1 has no digest.
    (tmp_path / "plan.json").write_text('{"seed": 2}')
    assert recorded_seed(tmp_path, None) == 2


@pytest.mark.parametrize("seeds", ["x", [1], [[1]], [["a", 2]], [[1, 2, 3]], None, {}])
def test_a_manifest_of_other_types_is_named(tmp_path, seeds):
    (tmp_path / "manifest.json").write_text(json.dumps({"format_version": 1, "settings": {}, "seeds": seeds}))
    assert "manifest.json is damaged" in refused(Manifest(tmp_path).begin, {}, range(3))


def test_latents_that_are_missing_are_data(tmp_path):
    refused(verified, tmp_path / "nowhere", error=DataError)


def test_a_backbone_is_not_built_far_beyond_its_file(files, tmp_path):
    """Its configuration is known to the backbone alone, which would build a million layers in minutes."""
    network = open_network(files.classifier).backbone
    eraser = Eraser(Translator(8, blocks=1, hidden=4, depth=0), Factors.of({"a": 2, "residual": 6}), ["a"])
    module = Erased(network, None, eraser)
    described = describe_backbone(module)
    file = tmp_path / "backbone.safetensors"
    checkpoint.save(file, module.state_dict(), described)
    assert open_network(file).latent_dim == 8
    described["config"]["translator"]["blocks"] = 10**6
    checkpoint.save(file, module.state_dict(), described)
    with pytest.raises(CheckpointError, match=r"the erased its metadata describes: .* more than .* layers and weights"):
        open_network(file)
    # What is built afterwards is built as ever.
    assert len(Translator(8, blocks=600, hidden=4, depth=0).state_dict()) > 3000
