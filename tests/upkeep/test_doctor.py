"""`iin doctor`: what is there, what is missing, and what to type; nothing heavy is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from iin_cli.commands.about.doctor import doctor
from iin_cli.upkeep import machine as machines
from iin_cli.upkeep import packages as wanted
from iin_cli.upkeep.machine import machine, place


def test_it_is_quick_and_imports_nothing_heavy(tmp_path):
    program = (
        "import sys; from iin_cli.cli import main; sys.argv = ['iin', 'doctor', '--json']\n"
        "try: main()\n"
        "finally: print('loaded:', *({'torch', 'numpy', 'huggingface_hub', 'PIL'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.split()) == (0, ["loaded:"])
    found = json.loads(done.stdout)
    assert found["well"]
    assert {"torch", "packaging"} <= {each["name"] for each in found["packages"]}
    assert found["machine"]["cores"] >= 1


def test_what_is_missing_says_for_what_and_how_to_get_it(cache, monkeypatch):
    real = wanted.installed
    lacking = {"umap-learn": None, "iin-timm": None, "rich": "12.0"}
    monkeypatch.setattr(wanted, "installed", lambda name: lacking.get(name, real(name)))
    monkeypatch.setattr("iin_cli.commands.about.doctor.installed", lambda name: lacking.get(name, real(name)))
    result = doctor()
    found = {finding.what: finding for finding in result.findings}
    assert found["umap-learn"].do == "pip install 'iin-cli[umap]'"
    assert "iin embed" in found["umap-learn"].needed_for
    assert not found["umap-learn"].is_fault
    assert found["iin-timm"].do == "pip install iin-timm"
    assert found["rich 12.0, not >=13"].is_fault
    assert not result.well


def test_a_cache_that_cannot_be_is_a_fault(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "file" / "cache"))
    assert not place("cache", tmp_path / "file" / "cache", "").writable
    assert [finding.what for finding in doctor().findings if finding.is_fault][:1] == [
        f"permission to write into {tmp_path / 'file' / 'cache'}"
    ]


def test_little_room_says_what_frees_some(cache, monkeypatch):
    monkeypatch.setattr(machines.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**8}))
    faults = [finding for finding in doctor().findings if finding.is_fault]
    assert faults
    assert all("100 MB free" in fault.what and "iin cache prune" in fault.do for fault in faults)


def test_no_secret_is_shown(cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://me:password@localhost")
    text = json.dumps(doctor().as_dict(), default=str)
    assert "hf_secret" not in text
    assert "password" not in text
    assert "(set)" in text


def test_cards_are_found_without_torch(monkeypatch, tmp_path):
    folder = tmp_path / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 35\n")
    monkeypatch.setattr(machines, "NVIDIA", tmp_path)
    (tmp_path / "version.py").write_text(
        "__version__ = '2.6'\ncuda: Optional[str] = '12.4'\nhip: Optional[str] = None\n"
    )
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(machines, "find_spec", lambda name: spec)
    assert machine().device == "NVIDIA H100 80GB HBM3; torch is built for CUDA 12.4"
    monkeypatch.setattr(machines, "NVIDIA", tmp_path / "none")
    assert machine().device == "cpu: no NVIDIA driver is here, torch is built for CUDA 12.4"
    (tmp_path / "version.py").write_text("cuda = None\n")
    assert machine().device == "cpu"


def test_a_device_is_tried_where_that_is_asked_for(cache):
    assert doctor("cpu").device.startswith("cpu (cpu), tried in")
    broken = doctor("cuda:99")
    assert (broken.well, broken.device) == (False, "cuda:99: cannot be used")


@pytest.mark.parametrize(("words", "code", "said"), [([], 0, "all is well"), (["--device", "tpu"], 2, "tpu")])
def test_the_command(command_line, words, code, said):
    found, out, err = command_line("doctor", *words)
    assert (found, said in out + err) == (code, True), err


def test_a_fault_is_in_the_exit_status(command_line, monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", "/proc/none")
    code, out, err = command_line("doctor")
    assert (code, err) == (1, "")
    assert "something is wrong" in out
    assert Path("/proc/none").exists() is False
