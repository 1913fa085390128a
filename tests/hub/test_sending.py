"""What is sent appears together or not at all, and a repository that is public stays as it is."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("huggingface_hub")

CARD = b"---\nlibrary_name: iin-cli\n---\n"
SEND = """
import json, sys
from pathlib import Path
from iin_cli.errors import IinError
from iin_cli.hub.sending import send
try:
    files = {"a/t.safetensors": Path(sys.argv[1]), "README.md": Path(sys.argv[2])}
    sent = send("me/x", files, "m", private="p" in sys.argv)
    print(json.dumps([sent.commit, sent.url, sent.private]))
except IinError as error:
    print(json.dumps([error.exit_code, str(error)]))
"""


@pytest.fixture
def send(tmp_path, hub_environment, monkeypatch):
    """Send two files from another process."""
    for name, value in {**hub_environment, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "t").write_bytes(b"large")
    (tmp_path / "card").write_bytes(CARD)

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-c", SEND, tmp_path / "t", tmp_path / "card", *words], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run


def test_all_files_appear_together_or_none(server, send):
    server.failing = "POST .*/commit/"
    code, why = send()
    assert code == 1
    assert why.startswith("hf:me/x: the Hub fails (HTTP 500)")
    there = server.repositories["me/x"]
    assert [*there.commits[there.head]] == [".gitattributes"]
    server.failing = None
    commit, url, private = send()
    assert (commit, url, private) == (there.head, f"{server.url}/me/x", False)
    assert there.commits[commit] == {".gitattributes": b"", "a/t.safetensors": b"large", "README.md": CARD}
    # Nothing secret goes to what is public already.
    sent = len(there.commits)
    code, why = send("p")
    assert (code, len(there.commits)) == (2, sent)
    assert "there already and public" in why
