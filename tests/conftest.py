"""Small untrained networks in files, as every command takes them, and the command line in this process."""

import faulthandler
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.guests import probing, vetting
from iin_cli.interpretation.opening import open_translator
from iin_cli.io import checkpoint
from iin_cli.progress import Silent
from iin_cli.registry import find
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

# The module of a plugin whose factory gives back what it is given.
PLUGIN = "def thing(argument=None):\n    return argument\n"
# Seconds after which a test is beyond pytest-timeout, which interrupts Python alone, and once.
STUCK = 400
stderr = 2
DIMS = {"digit": 3, "color": 2, "residual": 3}

# The suite runs one process per core: more threads would only wait for each other, and round differently.
torch.set_num_threads(1)


def seeded(build, seed=0):
    """Build a module whose random weights depend on `seed` only, with latents and outputs of ordinary size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def save_backbone(path, name, **config):
    config = {"image_size": 32, "base_channels": 4, **config}
    model = seeded(lambda: find("backbones", name).factory.from_config(config))
    with torch.no_grad():
        # Untrained convolutions shrink images to a grey that no edit changes.
        for parameter in model.parameters():
            parameter.mul_(2.0)
    data = {"name": "digits", "root": None, "fingerprint": "0"}
    metadata = {"kind": "backbone", "name": name, "config": model.config, "data": data}
    checkpoint.save(path, model.state_dict(), metadata)
    return path


def save_translator(path, backbone, dims=DIMS):
    translator = Translator(sum(dims.values()), blocks=2, hidden=16, depth=1, seed=3)
    provenance = None
    if backbone is not None:
        name = checkpoint.describe(backbone)["name"]
        provenance = {"name": name, "source": str(backbone.resolve()), "sha256": checkpoint.digest(backbone)}
    metadata = {
        "kind": "translator",
        "name": "translator",
        "config": translator.config,
        "factors": Factors.of(dims).as_json(),
        "backbone": provenance,
        "data": {"name": "digits", "root": None, "fingerprint": "0"},
    }
    checkpoint.save(path, translator.state_dict(), metadata)
    return path


def pytest_configure():
    """Keep where errors go: during a test that is a file of pytest's."""
    global stderr
    stderr = os.dup(2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """End a process whose test never returns to Python, or hangs once more while it is torn down; say where it was."""
    faulthandler.dump_traceback_later(STUCK, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_sessionfinish():
    """End a process, too, that does not end by itself."""
    faulthandler.dump_traceback_later(STUCK, exit=True, file=stderr)


def pytest_collection_modifyitems(items):
    """What starts programs is slow, besides what says so itself."""
    for item in items:
        if {"run_cli", "torchrun"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def signals():
    """Start every test with signals heeded and leave no handler behind.

    A shell's background job ignores Ctrl-C, and `nohup` the end of the terminal; programs that tests start would too.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def two_cores():
    """Let torch use two threads, as on a machine of two cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """`autoencoder`, `classifier`, and a translator of each: `of_images`, `of_classes`, and `of_latents` of none."""
    folder = tmp_path_factory.mktemp("checkpoints")
    autoencoder = save_backbone(folder / "ae.safetensors", "autoencoder", latent_dim=8)
    classifier = save_backbone(folder / "clf.safetensors", "classifier", latent_dim=8, classes=list("abcde"))
    return SimpleNamespace(
        autoencoder=autoencoder,
        classifier=classifier,
        of_images=save_translator(folder / "t-ae.safetensors", autoencoder),
        of_classes=save_translator(folder / "t-clf.safetensors", classifier),
        of_latents=save_translator(folder / "t.safetensors", None),
    )


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of caches of this test alone; nothing is in it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("IIN_CACHE", str(folder))
    return folder


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution: its metadata, its entry points, its module."""

    def make(distribution, points, source=PLUGIN, version="1.0", group="iin.backbones"):
        site = tmp_path / distribution
        module = distribution.replace("-", "_")
        facts = site / f"{module}-{version}.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"[{group}]", *(f"{name} = {module}:{target}" for name, target in points.items())]
        (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))
        imported.append(module)

    imported = []
    if vetting.try_each is probing.try_each:
        # Another process for each of them would take seconds; those tests that are about it start one.
        monkeypatch.setattr(vetting, "try_each", lambda function, tasks, limit: [{}] * len(tasks))
    yield make
    for module in imported:
        sys.modules.pop(module, None)


@pytest.fixture
def heard():
    """A reporter that remembers: `notes` and `warnings`."""

    class Heard(Silent):
        def __init__(self):
            self.notes, self.warnings = [], []

        def note(self, text):
            self.notes.append(text)

        def warn(self, text):
            self.warnings.append(text)

    return Heard()


@pytest.fixture
def opened(files):
    """The autoencoder's translator, open."""
    return open_translator(files.of_images)


@pytest.fixture(scope="session")
def write_idx():
    """Write random images and labels 0 … 9 as MNIST and its kin lay them out, in a folder `raw`."""

    def write(folder, train=48, test=16):
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        for part, items in (("train", train), ("t10k", test)):
            head, pixels = f"{part}-images-idx3-ubyte", generator.integers(0, 256, (items, 28, 28), dtype=np.uint8)
            (folder / head).write_bytes(struct.pack(">iiii", 2051, items, 28, 28) + pixels.tobytes())
            digits = (np.arange(items) % 10).astype(np.uint8)
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, items) + digits.tobytes())

    return write


@pytest.fixture
def command_line(cache, monkeypatch, capsys, tmp_path):
    """Run `iin` in this process, in an empty folder with empty caches; returns exit code, stdout and stderr."""
    from iin_cli.cli import main

    monkeypatch.chdir(tmp_path)
    # A command that a signal stopped would end this process, too.
    monkeypatch.setattr("iin_cli.cli.end_within", lambda seconds, code: None)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["iin", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 96 images 32²: bars of 3 shapes (`class`) in 4 colours (`color`), no two alike."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    rows = ["file,class,color"]
    for number in range(96):
        shape, color = number % 3, number // 3 % 4
        pixels = generator.integers(0, 60, (32, 32, 3), np.uint8)
        pixels[8 * shape + 4 : 8 * shape + 10, 4:28] = [(230, 30, 30), (30, 230, 30), (30, 30, 230), (220, 220, 40)][
            color
        ]
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d}.png,{'abc'[shape]},{color}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def run_cli(tmp_path):
    """Run `iin` as a process of its own in an empty folder and HOME; with `signal_when` it is killed by `signal_number`
    as soon as that text is on its stderr. Returns exit code, stdout and stderr."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IIN_")}
    environment = {**kept, "HOME": str(home), "IIN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}

    def run(*arguments, signal_when=None, signal_number=signal.SIGINT, env=None):
        process = subprocess.Popen(
            [sys.executable, "-m", "iin_cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment | (env or {}),
            # A shell's background job ignores Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        said = ""
        if signal_when is not None:
            while signal_when not in said and (line := process.stderr.readline()):
                said += line
            process.send_signal(signal_number)
        out, err = process.communicate(timeout=240)
        return process.returncode, out, said + err

    return run


@pytest.fixture(scope="session")
def torchrun():
    """Run a program under torchrun, in `folder` and with its cache there; returns exit code, stdout, stderr, and the
    seconds from the first error on."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IIN_")}

    def run(*command, folder, processes=2):
        launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        process = subprocess.Popen(
            [sys.executable, "-m", *launcher, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            # Two processes cannot share one GPU.
            env={**kept, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "IIN_CACHE": str(folder / "cache")},
        )
        said, failed = [], None
        for line in process.stderr:
            said.append(line)
            if failed is None and line.startswith("iin: "):
                failed = time.monotonic()
        out, _ = process.communicate()
        return process.returncode, out, "".join(said), time.monotonic() - (failed or math.inf)

    return run


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium of the system."""
    drivers = pytest.importorskip("playwright.sync_api", reason="playwright's Python package is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium on this system")
    if sys.platform != "linux":
        pytest.skip("where Chromium lies is known for Linux alone")
    with drivers.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
