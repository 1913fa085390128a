"""Commands open their translator, network and data at most once each; see also tests/commands/*/test_opens.py."""

from collections import Counter

import numpy as np
import pytest

from iin_cli import data
from iin_cli.acceleration.encoder import Encoder
from iin_cli.io import checkpoint

SMALL_FIT = ["--steps", 3, "--blocks", 1, "--hidden", 8]


@pytest.fixture
def opened(monkeypatch):
    """Count what is opened: checkpoints by kind, and datasets."""
    counts = Counter()
    load, find = checkpoint.load, data.find

    def loading(path, kind=None, *more):
        file = load(path, kind, *more)
        counts[file.metadata["kind"]] += 1
        return file

    def finding(group, name, *more):
        counts["data"] += group == "datasets"
        return find(group, name, *more)

    monkeypatch.setattr(checkpoint, "load", loading)
    monkeypatch.setattr(data, "find", finding)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["of_images", "of_classes"])
@pytest.mark.parametrize("words", ["audit --n 40", "report --n 20"])
def test_audits_and_reports(files, command_line, opened, kind, words):
    name, *rest = words.split()
    translator = getattr(files, kind)
    given = [translator] if name == "report" else ["-t", translator]
    assert command_line(name, *given, *rest, "--seed", 0, "-q")[0] == 0
    assert opened == {"translator": 1, "backbone": 1, "data": 1}


def test_samples(files, command_line, opened):
    assert command_line("sample", "-t", files.of_images, "--seeds", "0-3", "-q")[0] == 0
    assert opened == {"translator": 1, "backbone": 1}


def test_distances(files, command_line, opened):
    words = ["fid", "-t", files.of_images, "--features", files.classifier, "-n", 20, "--trials", 2, "-q"]
    assert command_line(*words)[0] == 0
    # The translator's network, and the one that compares.
    assert opened == {"translator": 1, "backbone": 2, "data": 1}


@pytest.mark.parametrize("words", [["estimate-dims"], ["fit-translator", *SMALL_FIT], ["encode"]])
def test_making_and_encoding(files, command_line, opened, words):
    assert command_line(*words, "-b", files.classifier, "-c", "digit", "--seed", 0, "-q")[0] == 0
    assert opened == {"backbone": 1, "data": 1}


@pytest.fixture
def encoded(command_line, monkeypatch, tmp_path):
    """Run a command with a translator and count how many images are encoded."""
    seen, posterior, folders = [], Encoder.posterior, iter(range(9))

    def counting(self, images):
        seen.append(len(images))
        return posterior(self, images)

    def run(translator, *words):
        seen.clear()
        folder = tmp_path / f"out-{next(folders)}"
        assert command_line(*words, "-t", translator, "--seed", 0, "-q", "--out", folder)[0] == 0
        return sum(seen)

    monkeypatch.setattr(Encoder, "posterior", counting)
    return run


@pytest.mark.slow
def test_what_any_command_has_encoded_is_not_encoded_again(files, encoded, cache):
    audit, respond = ["audit", "--n", 20], ["respond", "--steps", 5, "--n"]
    assert encoded(files.of_classes, *respond, 40) == 40
    more = encoded(files.of_classes, *audit)
    items = [np.load(file) for file in cache.rglob("items.npy")]
    # Each image once, though both have drawn some of the same; none was read alone, beside blank ones.
    assert 40 + more == len(np.unique(np.concatenate(items))) < sum(map(len, items))
    assert encoded(files.of_classes, *respond, 60) == 0
