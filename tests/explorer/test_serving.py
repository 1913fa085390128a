import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from iin_cli.errors import UsageError
from iin_cli.explorer.serving import is_loopback, keep_token, read_token, serve
from iin_cli.measures.edited.editor import Editor


def test_a_token_file_is_made_for_its_owner_and_read_again(tmp_path):
    file = tmp_path / "token"
    token = read_token(file)
    assert len(token) >= 24
    assert not file.exists()
    for _ in range(2):
        keep_token(file, token)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_token(file) == token
    assert read_token(None) != read_token(None)
    with pytest.raises(UsageError, match="another explorer"):
        keep_token(file, read_token(None))
    file.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_token(file)
    file.chmod(0o600)
    file.write_text("short\n")
    with pytest.raises(UsageError, match="no token"):
        read_token(file)
    with pytest.raises(UsageError, match="cannot write"):
        read_token(tmp_path / "gone" / "token")


def test_only_this_machine_is_loopback():
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "gpu1", "")] == [False] * 5


def test_a_port_that_is_taken_gives_way_to_the_next(explorers, heard):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serve(explorers["of_latents"], "127.0.0.1", port, "t" * 24, heard) as served:
            assert port < served.port <= port + 20
            assert heard.notes == [f"port {port} is taken: serving at {served.port}"]
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://localhost:{served.port}/api/health")
            assert refused.value.code == 403
            refused.value.close()
    with pytest.raises(UsageError, match="--host"), serve(explorers["of_latents"], "192.0.2.1", 0, "t" * 24, heard):
        pass


def test_a_request_that_is_given_up_is_ended_between_its_steps(explorers, heard, monkeypatch):
    explorer, began, going, searched = explorers["of_classes"], threading.Event(), threading.Event(), []
    place, beside = Editor._placed, Editor._beside

    def placed(self, *rest):
        began.set()
        assert going.wait(20)
        return place(self, *rest)

    monkeypatch.setattr(Editor, "_placed", placed)
    monkeypatch.setattr(Editor, "_beside", lambda self, *rest: searched.append(1) or beside(self, *rest))
    body = json.dumps({"images": ["test:0"]})
    with serve(explorer, "127.0.0.1", 0, "t" * 24, heard) as served:
        headers = {"Origin": f"http://127.0.0.1:{served.port}", "Cookie": f"iin-explore-{served.port}={'t' * 24}"}
        given_up = http.client.HTTPConnection("127.0.0.1", served.port)
        given_up.request("POST", "/api/edit", body, headers)
        assert began.wait(20)
        given_up.close()
        # The server hears of it, while the worker is in the middle of a step.
        time.sleep(0.3)
        going.set()
        waiting = http.client.HTTPConnection("127.0.0.1", served.port)
        waiting.request("GET", "/api/translator", headers=headers)
        assert waiting.getresponse().status == 200
        assert searched == []
        waiting.close()
        other = http.client.HTTPConnection("127.0.0.1", served.port)
        other.request("POST", "/api/edit", body, headers)
        assert other.getresponse().status == 200
        assert searched == [1]
        other.close()


def test_each_part_of_an_answer_is_sent_at_once(explorers, heard, monkeypatch):
    """Asyncio turns Nagle's algorithm off where a socket says that it is TCP; else a second part waits 40 ms."""
    uvicorn = pytest.importorskip("uvicorn")
    run, listening = uvicorn.Server.run, []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: listening.extend(sockets) or run(self, sockets))
    with serve(explorers["of_latents"], "127.0.0.1", 0, "t" * 24, heard):
        assert [each.proto for each in listening] == [socket.IPPROTO_TCP]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "--token-file"),
        (["--host", "gpu1"], 2, "--token-file"),
        (["--data", "nowhere"], 2, "nowhere"),
        (["--audit", "none.json"], 3, "none.json"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_leaves_nothing(files, command_line, tmp_path, words, code, said):
    token = [] if "--host" in words else ["--token-file", "token"]
    found, out, err = command_line("explore", files.of_images, "--no-browser", *words, *token)
    assert (found, out, len(err.splitlines())) == (code, "", 1)
    assert said in err
    assert not (tmp_path / "token").exists()


def test_what_is_not_installed_is_named_with_how_to_install_it(files, command_line, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, out, err = command_line("explore", files.of_images)
    assert (code, out) == (2, "")
    assert err == 'iin: iin explore needs uvicorn: pip install "iin-cli[explore]"\n'


@pytest.mark.slow
def test_the_page_is_served_until_it_is_stopped(files, pictures, tmp_path):
    """A process of its own: the printed address opens, removed files do not matter, Ctrl-C ends it at once."""
    copies = {name: tmp_path / getattr(files, name).name for name in ("of_classes", "classifier")}
    for name, copy in copies.items():
        copy.write_bytes(getattr(files, name).read_bytes())
    words = [copies["of_classes"], "--json", "--data", pictures, "--port", 0, "--backbone", copies["classifier"]]
    words += ["--token-file", "token"]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "BROWSER")}
    process = subprocess.Popen(
        [sys.executable, "-m", "iin_cli", "explore", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment | {"IIN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        served = json.loads(process.stdout.readline())
        base = served["url"].partition("/?")[0]
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(served["url"]) as response:
            assert response.url == f"{base}/"
            assert b"<html" in response.read()
        for copy in copies.values():
            Path(copy).unlink()
        with opener.open(f"{base}/api/translator") as response:
            # Typed again, it serves where the page that shows it looks, and lets it in.
            command = shlex.split(json.load(response)["command"])
        assert command[-4:] == ["--port", str(served["port"]), "--token-file", str(tmp_path / "token")]
        body = json.dumps({"images": ["test:1"], "changes": [{"factor": "digit", "resample": 1}]}).encode()
        request = urllib.request.Request(f"{base}/api/edit", body, {"Origin": base})
        with opener.open(request) as response:
            (edited,) = json.load(response)["images"]
        assert edited["answers"][0]["before"] != edited["answers"][0]["after"]
        with opener.open(f"{base}/api/health") as response:
            assert "is gone" in json.load(response)["changed"]
    finally:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert err.splitlines()[-1] == "iin: interrupted"
    assert "no browser can be opened here" in err
