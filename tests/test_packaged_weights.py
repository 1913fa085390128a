"""Weights of installed packages: found by family and model, named by package, and a bad package is named."""

import pytest
import torch

from iin_cli.errors import CheckpointError, NotInstalledError, PluginError
from iin_cli.packaged_weights import packaged_weights
from iin_cli.registry import list_plugins

TENSORS = """
import torch

def weights():
    return {"a.weight": torch.ones(2)}
"""
PATH = """
from pathlib import Path

def weights():
    return Path(__file__).with_name("weights.pth")
"""
LACKING = """
from iin_cli.errors import NotInstalledError

def weights():
    raise NotInstalledError("get them by pip install acme[net]")
"""
GROUP = "iin.weights.fam"


def test_tensors_are_given_with_the_name_of_their_package(install):
    install("acme", {"net.v1": "weights"}, TENSORS, group=GROUP)
    found = packaged_weights("fam", "net.v1")
    assert torch.equal(found.tensors["a.weight"], torch.ones(2))
    assert found.weights == "package:acme"
    assert packaged_weights("fam", "net.v1", found.weights).tensors.keys() == found.tensors.keys()
    # Neither another model nor another family is meant.
    assert packaged_weights("fam", "net", "default") is None
    assert packaged_weights("other", "net.v1", "default") is None


def test_a_path_is_read_without_running_its_code(install, tmp_path):
    install("acme", {"net": "weights"}, PATH, group=GROUP)
    file = tmp_path / "acme" / "weights.pth"
    torch.save({"state_dict": {"module.a": torch.ones(2)}}, file)
    assert list(packaged_weights("fam", "net").tensors) == ["a"]
    torch.save({"a": pytest.Item}, file)
    with pytest.raises(CheckpointError, match=r"beside tensors it holds _pytest"):
        packaged_weights("fam", "net")


def test_what_is_missing_is_said(install):
    with pytest.raises(NotInstalledError, match="no installed package has weights of fam:net"):
        packaged_weights("fam", "net", "package")
    with pytest.raises(NotInstalledError, match=r"come with the package acme, which is not .*: pip install acme"):
        packaged_weights("fam", "net", "package:acme")
    install("acme", {"net": "weights"}, LACKING, group=GROUP)
    for weights in ("default", "package", "package:acme"):
        with pytest.raises(NotInstalledError, match=r"^get them by pip install acme\[net\]$"):
            packaged_weights("fam", "net", weights)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import nowhere", r"'net' of acme 1.0 cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("def weights():\n    return 1 / 0", r"'net' of acme 1.0 cannot give its weights: ZeroDivisionError"),
        (
            "def weights():\n    return {'a': 1}",
            "weights of fam:net in the package acme are neither a path nor",
        ),
        ("weights = 3", "'net' of acme is not callable"),
    ],
)
def test_a_broken_package_is_named_with_the_cause(install, source, says):
    install("acme", {"net": "weights"}, source, group=GROUP)
    with pytest.raises(PluginError, match=says) as refused:
        packaged_weights("fam", "net", "default")
    assert "\n" not in str(refused.value)


def test_two_packages_are_told_apart(install):
    install("acme", {"net": "weights"}, TENSORS, group=GROUP)
    install("bolt", {"net": "weights"}, TENSORS.replace("ones", "zeros"), group=GROUP)
    with pytest.raises(PluginError, match=r"acme and bolt have .*--weights package:acme or --weights package:bolt"):
        packaged_weights("fam", "net")
    assert packaged_weights("fam", "net", "package:bolt").tensors["a.weight"].sum() == 0


def test_they_are_listed_without_being_asked(install):
    install("acme", {"net": "weights"}, LACKING, group=GROUP)
    install("bolt", {"net": "weights"}, "import nowhere", group=GROUP)
    rows = {row.distribution: row for row in list_plugins() if row.name == "fam:net"}
    assert {row.group for row in rows.values()} == {"weights"}
    assert (rows["bolt"].status, rows["acme"].error) == ("broken", "another package has this name")
