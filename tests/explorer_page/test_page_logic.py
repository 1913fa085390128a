"""The page's logic, tried by Node's own test runner; skipped where there is no Node."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "iin_cli" / "explorer" / "page"


def test_the_logic_of_the_page(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node on this system")
    shutil.copytree(PAGE, tmp_path, dirs_exist_ok=True)
    shutil.copy(Path(__file__).with_name("page.test.mjs"), tmp_path)
    # Without it Node takes the page's files for another kind of module.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    ran = subprocess.run(
        [node, "--test", "--test-reporter=tap", "page.test.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "# fail 0" in ran.stdout
    assert "# skipped 0" in ran.stdout


def test_the_page_asks_for_nothing_elsewhere():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8")
        # The name of a kind of drawing is no address that is asked for.
        assert re.findall(r"//\w[^\s\"]*", text) in ([], ["//www.w3.org/2000/svg"]), file
        assert "innerHTML" not in text, file
        assert "eval(" not in text, file
