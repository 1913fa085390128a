"""Addresses on the Hub: what is one, what it leads to, what is refused before anything is asked."""

from pathlib import Path

import pytest

from iin_cli.errors import UsageError
from iin_cli.hub.address import HubAddress, is_address
from iin_cli.hub.fetching import pinned


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf:me/digits", ("me/digits", None, "")),
        ("hf://me/digits", ("me/digits", None, "")),
        ("hf:me/digits@v1.0", ("me/digits", "v1.0", "")),
        ("hf:me/digits@refs/pr/3", ("me/digits", "refs/pr/3", "")),
        ("hf:me/digits@refs/pr/3/runs/7", ("me/digits", "refs/pr/3", "runs/7")),
        ("hf:me/digits/old runs/t.safetensors", ("me/digits", None, "old runs/t.safetensors")),
    ],
)
def test_an_address_has_a_repository_a_revision_and_a_path(text, parts):
    address = HubAddress.parse(text)
    assert (address.repository, address.revision, address.path) == parts
    assert HubAddress.parse(str(address)) == address
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["hf:", "hf:me", "hf:me/", "hf:/me", "hf:me/a b", "hf:me/..", "hf:me/a..b", "hf:me/a--b", "hf:-me/a"]
)
def test_other_forms_are_refused_with_the_right_one(text):
    with pytest.raises(UsageError, match="write hf:owner/name"):
        HubAddress.parse(text)


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", ".", "a/.", "*.safetensors", "a[b]", "a?"])
def test_no_path_leads_out_of_a_repository_or_means_several_files(path):
    with pytest.raises(UsageError, match="no folder or file"):
        HubAddress.parse(f"hf:me/digits/{path}")


@pytest.mark.parametrize("file", ["t.pt", "t.pth", "t.bin", "t.ckpt", "t.pkl", "plan.json"])
def test_only_safetensors_can_be_named(file):
    with pytest.raises(UsageError, match="are taken from the Hub"):
        HubAddress.parse(f"hf:me/digits/{file}")


def test_a_file_in_a_folder_has_neighbours_and_a_place_for_good():
    address = HubAddress.parse("hf:me/digits/old/t.safetensors")
    assert address.beside("backbone.safetensors") == "old/backbone.safetensors"
    snapshot = Path("/cache/models--me--dig-its/snapshots/0abc")
    assert pinned(snapshot) == HubAddress("me/dig-its", "0abc")
    assert str(pinned(snapshot / "old" / "t.safetensors")) == "hf:me/dig-its@0abc/old/t.safetensors"
    for other in ("/models/me/snapshots/0abc/t", "runs/t.safetensors", "/models--me--x/blobs/0abc"):
        assert pinned(Path(other)) is None


def test_a_repository_to_send_to_is_a_whole_one():
    assert HubAddress.repository_of("me/digits") == HubAddress.repository_of("hf:me/digits") == "me/digits"
    for text in ("me/digits@v1", "me/digits/old", "digits"):
        with pytest.raises(UsageError):
            HubAddress.repository_of(text)
    with pytest.raises(UsageError, match=r"^'digits' is no repository of the Hub: write owner/name, as in me/digits$"):
        HubAddress.repository_of("digits")
