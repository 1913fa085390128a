"""What the Dockerfile claims: built from the package alone, run by a user without rights. No engine is needed."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE = ROOT / "Dockerfile"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the tests lie without the Dockerfile")


def stages():
    """The instructions of each stage: (word, rest), lines joined and comments left out."""
    text = "\n".join(line for line in FILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    lines = [line.strip().partition(" ") for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found = []
    for word, _, rest in lines:
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found


def values(stage, word):
    return [rest for each, rest in stage if each == word]


def is_ignored(name):
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        matches = fnmatch(name, pattern.lstrip("!")) or (
            pattern.startswith("**/") and any(fnmatch(part, pattern[3:]) for part in name.split("/"))
        )
        if matches:
            ignored = not pattern.startswith("!")
    return ignored


def test_what_is_copied_is_there_and_reaches_the_builder():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = {
        word
        for stage in stages()
        for line in values(stage, "COPY")
        if "--from" not in line
        for word in line.split()[:-1]
    }
    for name in copied:
        assert (ROOT / name).exists(), name
        assert not is_ignored(name), name
    # All that the wheel is made of.
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert copied == needed | set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    for other in (".git", "runs", "tests", "plugins", ".venv", "secrets.env", "uv.lock", "iin_cli/__pycache__"):
        assert is_ignored(other), other


def test_it_runs_as_a_user_without_rights_and_needs_no_other_files():
    build, final = stages()
    (user,) = values(final, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.partition(':')[0]} " in values(final, "RUN")[0]
    words = [word for word, _ in final]
    assert words.index("USER") > max(place for place, word in enumerate(words) if word in ("RUN", "COPY"))
    assert json.loads(values(final, "ENTRYPOINT")[0]) == ["iin"]
    assert {rest.split()[0] for stage in (build, final) for rest in values(stage, "FROM")} == {"python:3.12-slim"}
    for stage in (build, final):
        assert not values(stage, "ADD")


def test_what_is_computed_lies_in_the_volume():
    final = stages()[-1]
    (volume,) = json.loads(values(final, "VOLUME")[0])
    kept = dict(re.findall(r"(\w+)=(\S+)", values(final, "ENV")[0]))
    for name in ("IIN_CACHE", "HF_HOME", "TORCH_HOME"):
        assert kept[name].startswith(f"{volume}/")
    assert f"mkdir -m 1777 {volume} /work" in values(final, "RUN")[0]


def test_it_names_no_address_and_only_parts_that_there_are():
    assert "://" not in FILE.read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (given,) = [rest.partition("=")[2] for rest in values(stages()[-1], "ARG") if rest.startswith("EXTRAS")]
    assert set(given.split(",")) <= set(extras)
