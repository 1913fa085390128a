"""Real servers of small untrained networks, and pages of them that remember what they said and asked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from iin_cli.interpretation.data_choice import DataChoice


class Explore:
    """`iin explore` as a process; `start` again after `kill` serves the same address to the same pages."""

    def __init__(self, checkpoint, folder):
        self.arguments = [checkpoint, "--no-browser", "--json", "--quiet", "--token-file", folder / "token"]
        self.folder, self.port, self.process = folder, 0, None

    def start(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("IIN_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "iin_cli", "explore", *map(str, [*self.arguments, "--port", self.port])],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.folder,
            env={**kept, "IIN_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"},
        )
        said = json.loads(self.process.stdout.readline())
        self.url, self.port = said["url"], said["port"]
        return self

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process.stdout.close()
            self.process = None


@pytest.fixture(scope="module")
def explore_apart(tmp_path_factory):
    """Start the explorer of a checkpoint as a process that can be killed."""
    pytest.importorskip("uvicorn", reason="the extra `explore` is not installed")
    started = []

    def of(checkpoint):
        started.append(Explore(checkpoint, tmp_path_factory.mktemp("explore")).start())
        return started[-1]

    yield of
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def explore(tmp_path_factory):
    """Return the address of the explorer of a checkpoint, which runs in a thread of this process until it ends."""
    pytest.importorskip("uvicorn", reason="the extra `explore` is not installed")
    from iin_cli.commands.read.explore import Serving, explore

    addresses, begun = {}, Queue()

    def serve_on(served):
        begun.put(served)
        # What comes after it heeds signals, which a thread cannot.
        Event().wait()

    def of(checkpoint):
        if checkpoint not in addresses:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("IIN_CACHE", str(tmp_path_factory.mktemp("explore")))
                choice = DataChoice(None, None, "test", None, 0)
                given = (checkpoint, choice, Serving(port=0), serve_on)
                Thread(target=explore, args=given, kwargs={"device": "cpu"}, daemon=True).start()
                addresses[checkpoint] = begun.get(timeout=60).url
        return addresses[checkpoint]

    return of


def wait_until(page, expression, seconds=20):
    """Wait until a JavaScript expression holds, asked by the debugger: the page's policy lets no other ask."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never: {expression}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="session")
def until():
    """Wait until a JavaScript expression holds."""
    return wait_until


@pytest.fixture(scope="session")
def after():
    """Do something and wait until what came of it is on the screen."""

    def act_and_wait(page, act):
        before = page.evaluate("window.shown")
        act()
        wait_until(page, f"window.shown > {before} && !document.documentElement.hasAttribute('data-busy')")

    return act_and_wait


@pytest.fixture
def visit(chromium):
    """Open an address in a browser of its own; at the end it must have said nothing, and asked nobody else."""
    contexts, opened = [], []

    def open_page(url, *, hash="", quiet=True, **given):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **given})
        context.set_default_timeout(20_000)
        page = context.new_page()
        seen = SimpleNamespace(page=page, said=[], asked=[], url=url, quiet=quiet)
        page.on("console", lambda message: seen.said.append(message.text))
        page.on("pageerror", lambda error: seen.said.append(str(error)))
        page.on("request", lambda request: seen.asked.append(request.url))
        contexts.append(context)
        opened.append(seen)
        page.add_init_script("window.shown = 0; document.addEventListener('iin:shown', () => { window.shown += 1 })")
        page.goto(url)
        if hash:
            page.goto(page.url.split("#")[0] + hash)
            page.reload()
        if url.startswith("http"):
            wait_until(page, "window.shown > 0")
        return page

    yield open_page
    for seen in opened:
        origin = "/".join(seen.url.split("/")[:3])
        assert [url for url in seen.asked if not url.startswith((origin, "data:", "blob:"))] == []
        assert not (seen.quiet and seen.said), seen.said
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core: the file that IIN_AXE names, or npm's package among the global ones."""
    named = os.environ.get("IIN_AXE")
    if named is None:
        if shutil.which("npm") is None:
            pytest.skip("there is neither IIN_AXE nor npm to find axe-core")
        root = subprocess.run(["npm", "root", "--global"], capture_output=True, text=True, check=True).stdout.strip()
        named = str(Path(root) / "axe-core" / "axe.min.js")
    if not Path(named).is_file():
        pytest.skip("axe-core is not installed: npm install --global axe-core")
    return Path(named).read_text(encoding="utf-8")


@pytest.fixture
def violations(axe):
    """What axe-core finds wrong with a page."""

    def find(page):
        # As the debugger evaluates it, since the page's own policy takes no script of others.
        page.evaluate(axe + "\n;undefined")
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)")
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]

    return find
