"""Laws that hold for whatever people write: label tables, seeds, sizes of factors, splits, metadata."""

import csv
import io
import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from iin_cli.cli.options import parse_seeds
from iin_cli.data.label_table import read_table
from iin_cli.data.splits import split_by_content
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.io import checkpoint
from iin_cli.io.manifest import runs_of
from iin_cli.plugin_api import Labels
from iin_cli.translator.dims import allocate, allocate_calibrated

lawful = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"'), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FILES = [f"{number}.png" for number in range(6)]


def written(rows, separator):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(rows)
    return text.getvalue()


def refused_or(call, error):
    """Return what `call` returns; None where it raises an `error` of one line."""
    try:
        return call()
    except error as refusal:
        if "\n" in str(refusal):
            raise
        return None


@lawful
@given(
    cells=st.lists(TEXT, min_size=len(FILES), max_size=len(FILES)),
    order=st.permutations(range(len(FILES))),
    separator=st.sampled_from(",;\t"),
    head=st.sampled_from(["file", "Path", "IMAGE", "filename"]),
)
def test_a_table_gives_every_file_its_own_cell(tmp_path, cells, order, separator, head):
    # Numbers are another law: they may be measurements, and 1.0 is 1.
    cells = [f"c{cell}" for cell in cells]
    rows = [[head, "kind"], *([FILES[place], cells[place]] for place in order)]
    (tmp_path / "labels.csv").write_text(written(rows, separator), encoding="utf-8", newline="")
    column = read_table(tmp_path, FILES).columns["kind"]
    assert column.names is not None
    assert [column.names[value] for value in column.values] == cells
    assert len(set(column.names)) == len(set(cells)) == len(column.names)


@lawful
@given(numbers=st.lists(st.floats(-1e9, 1e9, width=32), min_size=len(FILES), max_size=len(FILES)))
def test_a_table_of_measurements_gives_the_numbers(tmp_path, numbers):
    assume(any(number != int(number) for number in numbers))
    rows = [["file", "size"], *([file, repr(number)] for file, number in zip(FILES, numbers, strict=True))]
    (tmp_path / "labels.csv").write_text(written(rows, ","))
    column = read_table(tmp_path, FILES).columns["size"]
    assert column.continuous
    assert column.values.tolist() == numbers


@lawful
@given(content=st.binary(max_size=60) | st.text("file,;\t\n\"0.pngtrain'", max_size=60).map(str.encode))
def test_any_table_is_read_or_refused_in_one_line(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(b"file,split\n" + content)
    table = refused_or(lambda: read_table(tmp_path, FILES[:1]), DataError)
    assert table is None or table.splits is not None


@lawful
@given(seeds=st.lists(st.integers(0, 2**62), unique=True, min_size=1, max_size=20), more=st.integers(0, 30))
def test_seeds_come_back_from_their_runs(seeds, more):
    seeds = list(dict.fromkeys([*seeds, *range(seeds[0], seeds[0] + more)]))
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs_of(seeds))
    assert parse_seeds(text) == seeds


@lawful
@given(text=st.text("0123456789-, a", max_size=12))
def test_any_seeds_are_read_or_refused_in_one_line(text):
    seeds = refused_or(lambda: parse_seeds(text), UsageError)
    assert seeds is None or len(set(seeds)) == len(seeds) > 0


@lawful
@given(
    scores=st.dictionaries(TEXT.filter(lambda name: name != "residual"), st.floats(-2, 2), min_size=1, max_size=6),
    dim=st.integers(2, 2048),
    rule=st.sampled_from([allocate, allocate_calibrated]),
)
def test_sizes_fill_the_latent_and_follow_the_scores(scores, dim, rule):
    if len(scores) >= dim:
        with pytest.raises(UsageError):
            rule(scores, dim)
        return
    sizes = rule(scores, dim)
    assert [*sizes] == [*scores, "residual"]
    assert sum(sizes.values()) == dim
    assert min(sizes.values()) >= 1
    ordered = sorted(scores, key=lambda name: scores[name])
    # Where dimensions run out, they are taken from the largest, one by one.
    assert all(sizes[low] <= sizes[high] + 1 for low, high in pairwise(ordered))


@lawful
@given(
    sources=st.lists(st.integers(0, 12), min_size=2, max_size=40),
    classes=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_splits_are_apart_and_depend_on_content_alone(sources, classes, seed):
    shuffled = np.random.default_rng(seed).permutation(len(sources))
    keys = [f"{37 * source % 101:03d}" for source in sources]
    # The source of an item is the first item of its content.
    first = np.array([sources.index(source) for source in sources])
    labels = np.array([source % classes for source in sources])

    def split(order):
        place = {int(item): position for position, item in enumerate(order)}
        own = np.array([min(place[other] for other in range(len(sources)) if first[other] == first[i]) for i in order])
        found = split_by_content([keys[item] for item in order], own, Labels(labels[order]))
        return {name: {int(order[position]) for position in items} for name, items in found.items()}

    found = split(np.arange(len(sources)))
    assert found == split(shuffled)
    assert found["train"]
    assert found["train"] | found["test"] == set(range(len(sources)))
    assert not {sources[item] for item in found["train"]} & {sources[item] for item in found["test"]}


@lawful
@given(values=st.dictionaries(TEXT, JSON, max_size=4))
def test_metadata_come_back_as_they_were(tmp_path, values):
    checkpoint.save(tmp_path / "x", {}, {"kind": "x", "notes": values})
    assert checkpoint.describe(tmp_path / "x")["notes"] == values


@lawful
@given(text=st.text('{}[]":,0e-kindx ', max_size=30) | JSON.map(json.dumps))
def test_any_metadata_are_read_or_refused_in_one_line(tmp_path, text):
    save_file({}, tmp_path / "x", {"iin": text})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.describe(tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000
