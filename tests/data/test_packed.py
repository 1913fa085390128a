"""Texts in arrays are read like lists, and what is computed on them is what lists give."""

import hashlib
import os

import numpy as np
import pytest

from iin_cli.data.packed import Digests, Paths, order_of
from iin_cli.data.scanning import one_source
from iin_cli.data.splits import split_by_content
from iin_cli.plugin_api import Labels

NAMES = ["", "a/1.png", "b.png", "é/ü.png", os.fsdecode(b"caf\xe9/2.png"), "日本/x y.jpg"]


def digests_of(keys):
    texts = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    return Digests(np.array([list(bytes.fromhex(text)) for text in texts], np.uint8).reshape(-1, 32)), texts


def test_paths_are_a_sequence_of_texts():
    packed = Paths.of(NAMES)
    assert [*packed] == NAMES
    assert [packed[place] for place in range(-len(NAMES), len(NAMES))] == NAMES + NAMES
    assert packed[1:4] == NAMES[1:4]
    assert len(packed) == len(NAMES)
    assert b"".join(packed.raw()) == packed.text
    assert [*packed.take(np.array([True, False, True, False, True, False]))] == NAMES[::2]
    with pytest.raises(IndexError):
        packed[len(NAMES)]
    assert [*Paths.of([])] == []


def test_places_are_found_in_other_paths():
    generator = np.random.default_rng(0)
    every = sorted({f"{number:x}" for number in generator.integers(0, 5000, 900)})
    for share in (0.0, 0.1, 0.9):
        mine = [path for path in every if generator.random() > share]
        theirs = [path for path in every if generator.random() > 0.3]
        wanted = [theirs.index(path) if path in theirs else -1 for path in mine]
        assert Paths.of(mine).places_in(Paths.of(theirs)).tolist() == wanted
    assert Paths.of(every).places_in(Paths.of([])).tolist() == [-1] * len(every)


def test_folders_are_numbered_as_they_come():
    names, which = Paths.of(["train/a/1.png", "train/b/2.png", "test/a/3.png", "4.png"]).folders(1)
    assert (names, which.tolist()) == (["a", "b"], [0, 1, 0, -1])


def test_digests_are_ordered_and_matched_as_texts_are():
    generator = np.random.default_rng(1)
    packed, texts = digests_of([str(number) for number in generator.integers(0, 60, 300)])
    assert [*packed] == texts
    assert packed[7] == texts[7]
    assert packed[5:9] == texts[5:9]
    assert packed.order().tolist() == sorted(range(300), key=texts.__getitem__)
    assert packed.firsts().tolist() == [texts.index(text) for text in texts]
    assert order_of(texts).tolist() == packed.order().tolist()
    assert one_source(packed).tolist() == one_source(texts).tolist()


def test_digests_that_begin_alike_are_told_apart():
    rows = np.zeros((4, 32), np.uint8)
    rows[:, 20] = [3, 1, 3, 2]
    packed = Digests(rows)
    assert packed.order().tolist() == [1, 3, 0, 2]
    assert packed.firsts().tolist() == [0, 1, 0, 3]


def test_the_test_split_is_a_tenth_of_the_sources_of_every_class():
    generator = np.random.default_rng(2)
    packed, texts = digests_of([str(number) for number in generator.integers(0, 400, 600)])
    sources, classes = one_source(packed), generator.integers(0, 7, 600)
    classes[:2] = 9
    chosen = set()
    for value in np.unique(classes):
        distinct = sorted(set(sources[classes == value].tolist()), key=lambda source: texts[source])
        if len(distinct) > 1:
            chosen.update(distinct[: max(1, round(0.1 * len(distinct)))])
    wanted = [place for place in range(600) if sources[place] in chosen]
    for keys in (packed, texts):
        splits = split_by_content(keys, sources, Labels(classes))
        assert splits["test"].tolist() == wanted
        assert sorted([*splits["train"], *splits["test"]]) == [*range(600)]
