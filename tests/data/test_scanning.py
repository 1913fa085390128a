"""Which files are images, which are the same, which cannot be read."""

from PIL import Image

from iin_cli.data.scanning import hash_files, one_source, scan, unreadable
from iin_cli.progress import Silent


def test_files_come_sorted_with_forward_slashes(tmp_path):
    for name in ("b/2.png", "a.PNG", "b/1.jpg", "b/c/3.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("")
    assert scan(tmp_path) == ["a.PNG", "b/1.jpg", "b/2.png", "b/c/3.webp"]


def test_digests_keep_the_order_of_the_files(tmp_path):
    for number in range(30):
        (tmp_path / f"{number:02}").write_bytes(bytes([1 + number % 3]))
    files = [f"{number:02}" for number in range(30)]
    digests = hash_files(tmp_path, files, Silent())
    assert len(set(digests)) == 3
    assert digests == digests[:3] * 10


def test_a_source_is_shared_through_any_chain_of_equal_keys():
    assert one_source(["x", "y", "x"]).tolist() == [0, 1, 0]
    # 3 is 2 by the first key, 2 is 1 by the second, 1 is 0 by the first.
    assert one_source(["a", "a", "b", "b", "c"], ["p", "q", "q", "r", "s"]).tolist() == [0, 0, 0, 0, 4]
    assert one_source(["a", "b"], ["p", "q"]).tolist() == [0, 1]


def test_an_error_is_one_line(tmp_path):
    text = str(unreadable(tmp_path / "a.png", ValueError("broken\n  twice")))
    assert text.endswith("a.png cannot be read (broken twice): replace or remove it")
