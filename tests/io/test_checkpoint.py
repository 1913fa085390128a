"""Checkpoints: what is saved comes back, and what is not one is refused in one line."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import safetensors
import torch
from safetensors.torch import save_file

from iin_cli.errors import CheckpointError, ResourceError, UsageError
from iin_cli.io import checkpoint
from iin_cli.io.tensor_file import read_metadata, stored_tensors


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "latents.safetensors"
    checkpoint.save(path, {"a": torch.arange(6).reshape(2, 3), "b": torch.ones(4)}, {"kind": "latents", "name": "z̃"})
    return path


def refused(call, *arguments):
    with pytest.raises(CheckpointError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_saved_comes_back(file):
    loaded = checkpoint.load(file, "latents")
    assert loaded.path == file
    assert loaded.metadata["kind"] == "latents"
    digest = loaded.metadata["digest"]
    assert loaded.metadata == {
        "format_version": checkpoint.FORMAT_VERSION,
        "kind": "latents",
        "name": "z̃",
        "digest": digest,
    }
    assert loaded.tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert loaded.tensors["b"].dtype == torch.float32
    assert checkpoint.describe(file) == loaded.metadata


def test_views_and_gradients_are_saved_as_values(tmp_path):
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    checkpoint.save(tmp_path / "x", {"turned": weight.T, "spread": weight[:1].expand(4, 3)}, {"kind": "x"})
    tensors = checkpoint.load(tmp_path / "x").tensors
    assert torch.equal(tensors["turned"], weight.detach().T)
    assert tensors["spread"].shape == (4, 3)
    assert not tensors["turned"].requires_grad


def test_equal_content_gives_equal_files(tmp_path, file):
    again = tmp_path / "again"
    checkpoint.save(again, checkpoint.load(file).tensors, {"name": "z̃", "kind": "latents"})
    assert again.read_bytes() == file.read_bytes()
    assert checkpoint.digest(again) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_folder_stands_for_the_file_of_that_kind(file, tmp_path):
    assert checkpoint.locate(tmp_path, "latents") == file
    assert checkpoint.load(tmp_path, "latents").path == file
    assert "has no backbone.safetensors" in refused(checkpoint.load, tmp_path, "backbone")


def test_another_kind_is_named(file):
    assert "is a latents, expected a backbone" in refused(checkpoint.load, file, "backbone")


@pytest.mark.parametrize("call", [checkpoint.load, checkpoint.describe])
def test_files_that_are_none_are_refused(tmp_path, file, call):
    assert "no such checkpoint" in refused(call, tmp_path / "nowhere")
    whole = file.read_bytes()
    for content in (b"", b"hello", whole[:4], whole[:40], whole[:-1], whole[: len(whole) // 2], b"\xff" * 100):
        (tmp_path / "x").write_bytes(content)
        assert "not a whole safetensors file" in refused(call, tmp_path / "x")


def test_foreign_and_damaged_metadata_are_refused(tmp_path):
    path = tmp_path / "x"
    for metadata in (None, {"format": "pt"}):
        save_file({"a": torch.ones(1)}, path, metadata)
        assert "not one of iin's" in refused(checkpoint.load, path)
    for text in ("{", "[]", "{}", '{"kind": "x"}', '{"kind": "x", "format_version": "new"}'):
        save_file({"a": torch.ones(1)}, path, {"iin": text})
        assert "damaged metadata" in refused(checkpoint.load, path)


def test_a_newer_format_asks_for_an_update(tmp_path):
    path = tmp_path / "x"
    newer = checkpoint.FORMAT_VERSION + 1
    save_file({"a": torch.ones(1)}, path, {"iin": json.dumps({"kind": "x", "format_version": newer})})
    assert f"has format {newer}" in refused(checkpoint.load, path)


def test_saving_where_nothing_can_be_saved(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot write"):
        checkpoint.save(tmp_path / "file" / "x", {"a": torch.ones(1)}, {"kind": "x"})

    def full(*arguments, **keywords):
        from safetensors import SafetensorError

        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ResourceError, match="no space left"):
        checkpoint.save(tmp_path / "x", {"a": torch.ones(1)}, {"kind": "x"})
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_the_system_cuts_short_leaves_nothing(tmp_path):
    program = (
        "import resource, sys, torch; from pathlib import Path; from iin_cli.io import checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: checkpoint.save(Path(sys.argv[1]), {'a': torch.zeros(10_000)}, {'kind': 'x'})\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")], capture_output=True, text=True)
    assert done.stdout.strip() == "UsageError", done.stderr
    assert os.listdir(tmp_path) == []


def header(entries, data=b"", metadata=None):
    text = json.dumps({**({"__metadata__": metadata} if metadata else {}), **entries}).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(first, end, shape=(2,), kind="F32"):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [first, end]}


@pytest.mark.parametrize(
    ("content", "is_whole"),
    [
        (header({"a": entry(0, 8)}, bytes(8)), True),
        (header({"a": entry(8, 12, (1,)), "b": entry(0, 8)}, bytes(12), {"iin": "{}"}), True),
        (header({"a": entry(0, 0, (0, 3))}), True),
        (header({"a": entry(0, 4, (), "BF16"), "b": entry(4, 5, (), "BOOL")}, bytes(5)), False),
        (header({"a": entry(0, 2, (), "BF16"), "b": entry(2, 3, (), "BOOL")}, bytes(3)), True),
        (header({"a": entry(0, 8)}, bytes(7)), False),
        (header({"a": entry(0, 8)}, bytes(9)), False),
        (header({"a": entry(0, 8, (3,))}, bytes(8)), False),
        (header({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), False),
        (header({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20)), False),
        (header({"a": entry(8, 0)}, bytes(8)), False),
        (header({"a": entry(0, 8, (-2,))}, bytes(8)), False),
        (header({"a": {"dtype": "F32"}}), False),
        (header({"a": entry(0, 8)}, bytes(8))[:20], False),
        (b"", False),
        (b"1234", False),
        ((2**40).to_bytes(8, "little") + b"{}", False),
        ((2).to_bytes(8, "little") + b"[]", False),
        ((2).to_bytes(8, "little") + b"\xff\xff", False),
    ],
)
def test_a_header_is_read_as_the_library_reads_it(tmp_path, content, is_whole):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            theirs = (file.metadata() or {}, sorted(file.keys()))
    except safetensors.SafetensorError:
        theirs = None
    assert (theirs is not None) is is_whole
    if is_whole:
        assert (read_metadata(path), sorted(stored_tensors(path))) == theirs
    else:
        with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
            read_metadata(path)
