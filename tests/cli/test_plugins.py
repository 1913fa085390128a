"""`iin plugins` from the shell, with a broken guest installed."""

import json
import os
import subprocess
import sys


def test_a_broken_guest_is_listed_and_breaks_nothing(tmp_path):
    facts = tmp_path / "evil-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[iin.concepts]\nbad = evil:thing\n")
    (tmp_path / "evil.py").write_text("print('noise')\nimport sys\nsys.exit(9)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def iin(*arguments):
        command = [sys.executable, "-m", "iin_cli", "plugins", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    done = iin("--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert all(set(row) == {"group", "name", "distribution", "version", "status", "error"} for row in rows)
    (bad,) = [row for row in rows if row["name"] == "bad"]
    assert (bad["group"], bad["distribution"], bad["version"], bad["status"]) == ("concepts", "evil", "1.0", "broken")
    assert "SystemExit: 9" in bad["error"]
    (digit,) = [row for row in rows if row["name"] == "digit"]
    assert (digit["distribution"], digit["status"], digit["error"]) == ("iin-cli", "ok", None)
    table = iin()
    assert table.returncode == 0
    assert "SystemExit: 9" in table.stdout
