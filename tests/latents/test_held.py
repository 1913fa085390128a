"""Items that other entries of the cache hold are taken from there: same bytes, and only the rest is encoded."""

import shutil

import numpy as np
import pytest

from iin_cli.latents import cache as latents
from iin_cli.latents.held import Held

pytestmark = pytest.mark.usefixtures("cache")

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
SHUFFLED = np.random.default_rng(1).permutation(40)


class Encoder:
    """Remembers how many images it sees at once."""

    def __init__(self, stochastic=True):
        self.seen, self.stochastic = [], stochastic

    def __call__(self, images):
        self.seen.append(len(images))
        return images.mean((2, 3)), (images.mean((1, 3)) if self.stochastic else None)


def encode(encoder, items, identity=None, **options):
    return latents.cached(identity or {"a": 1}, items, IMAGES.__getitem__, encoder, batch=4, **options)


def bytes_of(found):
    return found.mean[:].tobytes() + (b"" if found.log_variance is None else found.log_variance[:].tobytes())


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """What items give in an empty cache."""

    def make(items, stochastic=True):
        with monkeypatch.context() as patch:
            patch.setenv("IIN_CACHE", str(tmp_path / f"alone-{len(list(tmp_path.iterdir()))}"))
            return bytes_of(encode(Encoder(stochastic), items))

    return make


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize(
    ("first", "then", "encoded"),
    [
        ([SHUFFLED[:10]], SHUFFLED[:25], 15),
        ([np.arange(0, 40, 3)], np.arange(40)[::-1], 26),
        ([np.arange(5), np.arange(3, 20), np.arange(30, 40)], np.arange(2, 35), 10),
        ([np.arange(20), np.arange(20, 40)], SHUFFLED, 0),
    ],
)
def test_only_what_no_entry_holds_is_encoded_and_the_entry_has_the_bytes_it_has_alone(
    cache, alone, heard, first, then, encoded, stochastic
):
    for items in first:
        encode(Encoder(stochastic), items)
    encoder, again = Encoder(stochastic), Encoder(stochastic)
    assert latents.is_cached({"a": 1}, then) == (encoded == 0)
    found = encode(encoder, then, report=heard)
    assert sum(encoder.seen) == encoded
    assert bytes_of(found) == alone(then, stochastic)
    said = [f"encoding: {len(then) - encoded} of {len(then)} images were encoded before"]
    assert heard.notes == (said if encoded else [])
    # It is an entry now, left on the disk, whose files are those of one that was made alone.
    assert bytes_of(encode(again, then)) == bytes_of(found)
    assert again.seen == []
    assert isinstance(found.mean, latents.MappedRows)
    assert len(list(cache.rglob("mean.npy"))) == len(first) + 1


def test_a_part_of_one_entry_is_read_from_it_unless_memory_should_not_hold_it(cache, alone, monkeypatch):
    encode(Encoder(), SHUFFLED)
    unused, some = Encoder(), np.array([7, 3, 3, 39])
    assert bytes_of(encode(unused, some)) == alone(some)
    assert len(list(cache.rglob("mean.npy"))) == 1
    monkeypatch.setattr(latents, "KEPT_NUMBERS", 11)
    found = encode(unused, some)
    assert (bytes_of(found), unused.seen) == (alone(some), [])
    assert isinstance(found.mean, latents.MappedRows)
    assert len(list(cache.rglob("mean.npy"))) == 2


def test_what_another_network_or_rendering_gave_is_never_taken(alone):
    encode(Encoder(), SHUFFLED[:20], {"a": 2})
    encode(Encoder(), SHUFFLED[:20], {"a": 1, "b": 1})
    encoder = Encoder()
    assert not latents.is_cached({"a": 1}, SHUFFLED[:20])
    assert bytes_of(encode(encoder, SHUFFLED)) == alone(SHUFFLED)
    assert sum(encoder.seen) == 40


@pytest.mark.parametrize("name", ["mean.npy", "items.npy"])
@pytest.mark.parametrize("content", [None, b"", b"changed"])
def test_an_entry_that_is_damaged_or_gone_holds_nothing(cache, alone, name, content):
    encode(Encoder(), SHUFFLED[:20])
    (file,) = cache.rglob(name)
    if content is None:
        # As `iin cache rm` may, just before it removes the file beside it.
        shutil.rmtree(file.parent)
    else:
        file.write_bytes(file.read_bytes()[: -len(content)] + content if content else content)
    encoder = Encoder()
    assert bytes_of(encode(encoder, SHUFFLED)) == alone(SHUFFLED)
    assert sum(encoder.seen) == 40


def test_an_encoding_that_was_stopped_goes_on_though_more_is_held_now(alone, heard):
    class Stopped(Encoder):
        def __call__(self, images):
            if len(self.seen) == 5:
                raise KeyboardInterrupt
            return super().__call__(images)

    with pytest.raises(KeyboardInterrupt):
        encode(Stopped(), np.arange(40))
    encode(Encoder(), np.arange(28, 40))
    rest = Encoder()
    assert bytes_of(encode(rest, np.arange(40), report=heard)) == alone(np.arange(40))
    assert sum(rest.seen) == 8
    assert heard.notes == [
        "encoding: 12 of 40 images were encoded before",
        "encoding: 20 of 40 images were done before the last run ended",
    ]


def test_an_entry_that_adds_nothing_is_not_opened():
    held = Held(np.array([5, 6, 7]))
    held.add({"mean": np.zeros((2, 3), np.float32)}, np.array([6, 5]))
    assert held.missing.tolist() == [False, False, True]
    assert (held.lacks(np.array([5, 6])), held.lacks(np.array([8, 7]))) == (False, True)
    assert held.in_one(99) is None


@pytest.mark.parametrize(
    ("old", "new"),
    # Which numpy's own reader meets with errors of Python's: of its tokens, of its syntax, of its types.
    [(b"), }", b"),  "), (b"'<i8'", b"'<,8'"), (b" 'shape'", b"b'shape'")],
)
def test_an_entry_whose_numbers_are_damaged_holds_nothing(cache, alone, old, new):
    encode(Encoder(), np.arange(20))
    (file,) = cache.rglob("items.npy")
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new))
    encoder = Encoder()
    assert not latents.is_cached({"a": 1}, np.arange(10))
    assert bytes_of(encode(encoder, np.arange(10))) == alone(np.arange(10))
    assert sum(encoder.seen) == 10
