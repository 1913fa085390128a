"""A data set of the Hub, as a server that speaks as much of its API as is asked for gives it, and then without one."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "a" * 40
CARD = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: train.parquet}
  - {split: test, path: test.parquet}
---
"""
PROGRAM = """
import json, sys
from iin_cli.data import open_dataset
from iin_cli.errors import IinError
from iin_cli.progress import Silent
for name in sys.argv[1:]:
    report, said = Silent(), []
    report.warn = said.append
    try:
        dataset = open_dataset(name, report=report)
        splits = {split: len(items) for split, items in dataset.splits.items()}
        print(json.dumps([dataset.name, splits, [*dataset.labels], dataset.fingerprint, said]))
    except IinError as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


def handler(files):
    """Answer for the data set `owner/name` with these files and no other."""

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *words):
            pass

        def answer(self, code, body=b"{}", **headers):
            self.send_response(code)
            for name, value in {"Content-Length": len(body), "X-Repo-Commit": COMMIT, **headers}.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def described(self, name):
            content = files[name]
            return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

        def do_GET(self):
            path = self.path.partition("?")[0]
            if "owner/name" not in path:
                self.answer(404, X_Error_Code="RepoNotFound")
            elif "/resolve/" in path:
                name = path.partition("/resolve/")[2].partition("/")[2]
                if name in files:
                    self.answer(200, files[name], ETag=f'"{hashlib.sha1(files[name]).hexdigest()}"')
                else:
                    self.answer(404, X_Error_Code="EntryNotFound")
            elif "/tree/" in path:
                self.answer(200, json.dumps([self.described(name) for name in files]).encode())
            else:
                known = {
                    "id": "owner/name",
                    "sha": COMMIT,
                    "siblings": [],
                    "private": False,
                    "gated": False,
                    "tags": [],
                }
                self.answer(200, json.dumps(known).encode())

        do_HEAD = do_GET

        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found = [self.described(name) for name in files if name in asked]
            self.answer(200, json.dumps(found).encode())

    return Hub


@pytest.fixture
def hub(parquet, digits, tmp_path):
    """The address of a Hub with 20 training and 20 test images."""
    images, values, _ = digits
    for split, chosen in (("train", slice(0, None, 2)), ("test", slice(1, None, 2))):
        parquet(f"{split}.parquet", image=images[chosen], label=values[chosen])
    files = {name: (tmp_path / name).read_bytes() for name in ("train.parquet", "test.parquet")}
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler({"README.md": CARD.encode(), **files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def opened(*names, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_name_of_the_hub_and_the_same_without_it(hub):
    names = ("hf:owner/name", "hf:owner/name@v1", "hf:owner/name:no", "hf:owner/other")
    found, revised, no_config, other = opened(*names, HF_ENDPOINT=hub, HF_HUB_OFFLINE="0")
    assert found[:3] == ["hf:owner/name", {"train": 20, "test": 20}, ["label", "class"]]
    assert revised[1:] == found[1:]
    assert no_config[0] == "UsageError"
    assert "BuilderConfig 'no' not found. Available: ['default']: write hf:NAME:CONFIG" in no_config[1]
    assert other[0] == "DataError"
    assert "'owner/other' doesn't exist on the Hub" in other[1]

    names = ("hf:owner/name", f"hf:owner/name@{COMMIT}", "hf:owner/name@v1", f"hf:owner/name@{'b' * 40}")
    kept, same, unsure, wrong = opened(*names, HF_ENDPOINT=hub, HF_HUB_OFFLINE="1")
    assert kept[:4] == found[:4]
    assert "what its cache has is read" in kept[4][0]
    assert same[1:4] == found[1:4]
    assert "whether the copy is of revision v1 is not known" in unsure[4][1]
    assert wrong[0] == "DataError"
    assert "the cache has another revision" in wrong[1]
