"""What is remembered of a folder: files that are as they were are not read again, and all others are."""

import json
import os
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from iin_cli.data import checking, known_files
from iin_cli.data.folder import open_folder
from iin_cli.errors import DataError
from iin_cli.io import image_files


@pytest.fixture
def folder(tmp_path, cache):
    for number in range(12):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number:02}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ppm(number))
    return tmp_path / "set"


def ppm(color):
    return b"P6 1 1 255\n" + bytes([color, 0, 0])


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read, and decoded; a disk whose clock has no coarse ticks."""
    found = {"read": [], "decoded": []}
    inspect, extent_of = image_files.inspect, image_files.extent_of

    def noting(path, known):
        found["read"].append(path.name)
        return inspect(path, known)

    def decoding(image):
        found["decoded"].append(image)
        return extent_of(image)

    monkeypatch.setattr(checking, "inspect", noting)
    monkeypatch.setattr(image_files, "extent_of", decoding)
    monkeypatch.setattr(known_files, "CLOCK_NS", 0)
    return found


def opened_again(folder, read, **options):
    for names in read.values():
        names.clear()
    return open_folder(folder, **options)


def test_files_as_they_were_are_not_read_again(folder, read):
    first = open_folder(folder)
    assert len(read["read"]) == len(read["decoded"]) == 12
    again = opened_again(folder, read)
    assert read == {"read": [], "decoded": []}
    assert again.fingerprint == first.fingerprint
    assert again.labels["class"].values.tolist() == first.labels["class"].values.tolist()
    assert {name: items.tolist() for name, items in again.splits.items()} == {
        name: items.tolist() for name, items in first.splits.items()
    }
    np.testing.assert_array_equal(again.images(np.arange(12), 4), first.images(np.arange(12), 4))


def test_a_change_of_the_same_size_and_time_is_noticed(folder, read):
    first, path = open_folder(folder), folder / "a" / "02.ppm"
    before = path.stat()
    path.write_bytes(ppm(99))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert opened_again(folder, read).fingerprint != first.fingerprint
    assert read["read"] == ["02.ppm"]
    assert len(read["decoded"]) == 1


def test_a_file_put_in_the_place_of_another_is_noticed(folder, read, tmp_path):
    first, path = open_folder(folder), folder / "a" / "02.ppm"
    other = tmp_path / "other.ppm"
    other.write_bytes(ppm(99))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert opened_again(folder, read).fingerprint != first.fingerprint
    assert read["read"] == ["02.ppm"]


def test_new_names_and_modes_cost_a_reading_and_no_decoding(folder, read):
    first = open_folder(folder)
    (folder / "a" / "02.ppm").chmod(0o600)
    shutil.copy(folder / "a" / "04.ppm", folder / "a" / "99.ppm")
    found = opened_again(folder, read)
    assert sorted(read["read"]) == ["02.ppm", "99.ppm"]
    assert read["decoded"] == []
    assert found.sources.tolist() == [0, 1, 2, 3, 4, 5, 2, 7, 8, 9, 10, 11, 12]
    (folder / "a" / "99.ppm").unlink()
    assert opened_again(folder, read).fingerprint == first.fingerprint
    assert read["read"] == []


def test_a_file_as_new_as_the_clock_is_read_again_until_it_is_older(folder, read, monkeypatch):
    monkeypatch.setattr(known_files, "CLOCK_NS", 10**12)
    first = open_folder(folder)
    # Its time is that of the first write, as within one tick.
    assert opened_again(folder, read).fingerprint == first.fingerprint
    assert len(read["read"]) == 12
    assert read["decoded"] == []
    monkeypatch.setattr(known_files, "CLOCK_NS", 0)
    opened_again(folder, read)
    assert len(read["read"]) == 12
    opened_again(folder, read)
    assert read["read"] == []


@pytest.mark.parametrize(
    ("changed", "touched", "now", "settled"),
    [(0, 0, 2, True), (0, 1, 2, False), (1, 1, 2, False), (99, 0, 2, True), (0, 99, 2, False)],
)
def test_only_times_that_a_later_write_would_change_are_trusted(changed, touched, now, settled):
    second = 10**9
    facts = (3, changed * second, touched * second, 1, 1)
    assert known_files.is_settled(facts, now * second) is settled


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "pipe", "version"])
def test_a_damaged_or_foreign_table_is_not_used(cache, folder, read, damage, monkeypatch):
    first = open_folder(folder)
    (table,) = (cache / "images").iterdir()
    whole = table.read_bytes()
    if damage == "version":
        monkeypatch.setattr(known_files.PIL, "__version__", "0.1")
    elif damage == "pipe":
        table.unlink()
        os.mkfifo(table)
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        table.write_bytes({"empty": b"", "cut": whole[:middle], "flipped": flipped, "text": b"{}"}[damage])
    assert opened_again(folder, read).fingerprint == first.fingerprint
    assert len(read["decoded"]) == 12
    opened_again(folder, read)
    assert read["read"] == []


def test_without_a_cache_every_file_is_read(folder, read, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("IIN_CACHE", str(folder / "file"))
    first = open_folder(folder)
    assert opened_again(folder, read).fingerprint == first.fingerprint
    assert len(read["read"]) == 12


def test_bad_images_are_looked_at_each_time(folder, read):
    (folder / "a" / "02.ppm").write_bytes(b"no image")
    first = open_folder(folder, skip_bad=True)
    assert opened_again(folder, read, skip_bad=True).fingerprint == first.fingerprint
    assert read["read"] == ["02.ppm"]
    with pytest.raises(DataError, match=r"02\.ppm cannot be read"):
        open_folder(folder)


def test_a_link_to_nothing_is_not_taken_for_a_file_that_was_too_new(folder, tmp_path, monkeypatch):
    target = tmp_path / "target.ppm"
    target.write_bytes(ppm(50))
    (folder / "a" / "50.ppm").symlink_to(target)
    open_folder(folder)
    target.unlink()
    with pytest.raises(DataError, match=r"50\.ppm cannot be read"):
        open_folder(folder)


def test_deep_greys_are_remembered(tmp_path, cache, heard, read):
    folder = tmp_path / "deep"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.full((2, 2), 1000 * (number + 1), np.uint16)).save(folder / f"{number}.png")
    first = open_folder(folder, heard)
    (folder / "2.png").unlink()
    opened_again(folder, read)
    last = opened_again(folder, read, report=heard)
    assert read["read"] == []
    assert (first.greys.whole, last.greys.whole) == ((0, 4095), (0, 4095))
    assert [text.split(" images")[0][-1] for text in heard.warnings] == ["3", "2"]


def test_two_at_once_leave_a_whole_table(cache, folder, read):
    found = []
    threads = [threading.Thread(target=lambda: found.append(open_folder(folder).fingerprint)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    opened_again(folder, read)
    assert read["read"] == []
    assert len([*(cache / "images").iterdir()]) == 1


def test_verify_reads_all_and_says_what_the_disk_hid(folder, read, heard, monkeypatch):
    monkeypatch.setattr(checking, "facts_of", lambda status: (1, 2, 3, 4, 5))
    monkeypatch.setattr("iin_cli.data.scanning.facts_of", lambda status: (1, 2, 3, 4, 5))
    first = open_folder(folder)
    (folder / "a" / "02.ppm").write_bytes(ppm(99))
    assert opened_again(folder, read).fingerprint == first.fingerprint
    monkeypatch.setenv(known_files.VERIFY, "1")
    assert opened_again(folder, read, report=heard).fingerprint != first.fingerprint
    assert len(read["decoded"]) == 12
    (warning,) = heard.warnings
    assert "1 files hold other bytes" in warning
    assert "a/02.ppm" in warning


def test_a_file_that_is_written_while_it_is_read_is_named(folder, monkeypatch):
    regular = image_files.open_regular

    class Growing:
        def __init__(self, path):
            self.path, self.stream = path, regular(path)

        def __enter__(self):
            return self

        def __exit__(self, *problem):
            self.stream.close()

        def fileno(self):
            return self.stream.fileno()

        def read(self):
            content = self.stream.read()
            if self.path.name == "02.ppm":
                self.path.write_bytes(content + b"more")
            return content

    monkeypatch.setattr(image_files, "open_regular", Growing)
    with pytest.raises(DataError, match=r"02\.ppm changed while it was read: wait") as caught:
        open_folder(folder)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_images_are_those_that_were_checked(folder):
    dataset = open_folder(folder)
    (folder / "a" / "02.ppm").chmod(0o600)
    assert dataset.images(np.arange(12), 1).shape == (12, 1, 1, 3)
    (folder / "a" / "02.ppm").write_bytes(ppm(99))
    with pytest.raises(DataError, match=r"02\.ppm changed"):
        dataset.images(np.arange(12), 1)
    with pytest.raises(DataError, match=r"02\.ppm changed"):
        dataset.whole_image(1)
    assert dataset.whole_image(0).shape == (1, 1, 3)


def test_the_fingerprint_is_that_of_names_and_contents(folder):
    import hashlib

    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.ppm"))
    lines = [f"{file}\0{hashlib.sha256((folder / file).read_bytes()).hexdigest()}" for file in files]
    assert open_folder(folder).fingerprint == hashlib.sha256("\n".join(["", *lines]).encode()).hexdigest()


def test_what_older_versions_kept_goes(cache, folder, read):
    (table := cache / "images").mkdir(parents=True)
    open_folder(folder)
    (file,) = table.iterdir()
    file.with_suffix(".json").write_text(json.dumps({}))
    (folder / "a" / "02.ppm").write_bytes(ppm(99))
    open_folder(folder)
    assert [path.suffix for path in table.iterdir()] == [".npz"]
