"""What is fetched from the Hub, and what is said where it cannot be; against a server that speaks its language."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iin_cli.errors import NotInstalledError, UsageError
from iin_cli.hub import faults
from iin_cli.hub.fetching import local

pytestmark = pytest.mark.slow
pytest.importorskip("huggingface_hub")

# Prints, for each address, where it lies, or the code and the text of the error.
FETCH = """
import json, sys
from iin_cli.errors import IinError
from iin_cli.hub.fetching import local
found = {}
for address in sys.argv[1:]:
    try:
        found[address] = str(local(address))
    except IinError as error:
        found[address] = [error.exit_code, str(error)]
print(json.dumps(found))
"""


@pytest.fixture
def fetch(tmp_path, hub_environment, monkeypatch):
    """Fetch addresses in another process, since the library reads its environment when it is imported."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in hub_environment.items():
        monkeypatch.setenv(name, value)

    def run(*addresses, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = subprocess.run([sys.executable, "-c", FETCH, *addresses], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


def test_a_path_stays_a_path(tmp_path):
    assert local(tmp_path) == tmp_path


def test_checkpoints_are_fetched_by_name_and_nothing_else_is(server, put, fetch, files):
    first = put("me/t", {"translator.safetensors": files.of_images, "model.bin": b"never", "README.md": b"card"})
    put("me/t", {"old/backbone.safetensors": files.autoencoder, "old/x.safetensors": files.of_images})
    found = fetch("hf:me/t", "hf:me/t/old", "hf:me/t/old/x.safetensors", f"hf:me/t@{first}", f"hf:me/t@{first}/old")
    assert Path(found["hf:me/t"], "translator.safetensors").read_bytes() == files.of_images.read_bytes()
    assert found["hf:me/t/old"].endswith("/old")
    assert Path(found["hf:me/t/old/x.safetensors"]).read_bytes() == files.of_images.read_bytes()
    assert found[f"hf:me/t@{first}"].endswith(first)
    assert found[f"hf:me/t@{first}/old"][0] == 4
    asked = {path.rpartition("/")[2] for _, path in server.requests if "/resolve/" in path}
    assert asked == {"translator.safetensors", "backbone.safetensors", "x.safetensors"}
    # Once more, from the cache; then without any Hub.
    assert fetch("hf:me/t", HF_HUB_OFFLINE="1")["hf:me/t"] == found["hf:me/t"]
    assert "hf:me/none: HF_HUB_OFFLINE is set" in fetch("hf:me/none")["hf:me/none"][1]


def test_what_cannot_be_had_is_said_in_one_line(server, put, fetch):
    put("me/secret", {"translator.safetensors": b""}, private=True)
    put("me/gated", {"translator.safetensors": b""}, gated=True)
    put("me/other", {"model.safetensors": b"", "pytorch_model.bin": b""})
    found = fetch("hf:me/none", "hf:me/gated", "hf:me/other", "hf:me/other@nope", "hf:me/other/no.safetensors")
    assert {code for code, _ in found.values()} == {4}
    for address, why in {
        "hf:me/none": "no such repository, or it is private: check the name, or give another token",
        "hf:me/gated": "its authors let in whom they choose",
        "hf:me/other": "neither translator.safetensors nor backbone.safetensors",
        "hf:me/other@nope": "no such revision",
        "hf:me/other/no.safetensors": "no such file",
    }.items():
        assert found[address][1].startswith(f"{address}: ")
        assert why in found[address][1]
    assert "set HF_TOKEN" in fetch("hf:me/secret", HF_TOKEN="")["hf:me/secret"][1]
    server.failing = "/api/models/me/other"
    assert "HTTP 500" in fetch("hf:me/other@main")["hf:me/other@main"][1]
    gone = fetch("hf:me/unseen", HF_ENDPOINT="http://127.0.0.1:9")["hf:me/unseen"]
    assert gone[0] == 4
    assert "the Hub at http://127.0.0.1:9 cannot be reached" in gone[1]


def test_a_signal_ends_a_long_fetch_at_once(server, put, run_cli, hub_environment):
    put("me/t", {"translator.safetensors": bytes(40_000_000)})
    server.pause = 0.1
    code, out, err = run_cli("info", "hf:me/t", signal_when="fetching hf:me/t: ", env=hub_environment)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "iin: interrupted"
    # All of it would take forty seconds.
    assert time.monotonic() - server.asked("/resolve/") < 20


def test_the_library_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'iin-cli\[hub\]'"):
        faults.require_library()


def test_a_wrong_address_is_an_error_before_the_library_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)
    with pytest.raises(UsageError, match="write hf:owner/name"):
        local("hf:digits")
