"""What ends, crashes or stops the other process is named, and the next tasks are answered all the same."""

import json
import os
import sys

import pytest

from iin_cli.guests.probing import try_each

TASKS = """
import os, time

def work(task):
    print("noise")
    os.write(1, b"noise")
    if task == "exit":
        os._exit(3)
    if task == "crash":
        os.abort()
    if task == "sleep":
        time.sleep(100)
    return {"twice": 2 * task}
"""


@pytest.mark.slow
def test_each_task_has_an_answer(tmp_path, monkeypatch, capfd):
    (tmp_path / "tasks_for_probing.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    done = []
    answers = try_each("tasks_for_probing:work", [1, "exit", 2, "crash", 3], lambda: done.append(1), limit=60)
    assert answers[::2] == [{"twice": 2}, {"twice": 4}, {"twice": 6}]
    assert answers[1] == "it ends the process, with exit status 3"
    assert answers[3] == "it crashes the process (SIGABRT)"
    assert len(done) == 5
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_task_that_does_not_return_is_ended(tmp_path, monkeypatch):
    (tmp_path / "tasks_for_probing.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert try_each("tasks_for_probing:work", ["sleep"], limit=2) == ["it does not return within 2 s"]


@pytest.mark.slow
def test_a_plugin_that_ends_the_process_at_import_is_listed(tmp_path, run_cli):
    for name, source in (
        ("quitter", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
        ("good", "thing = print"),
    ):
        facts = tmp_path / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(
            f"[iin.concepts]\n{name} = {name}_plugin:thing\n[iin.commands]\nno name\n{name}-it = {name}_plugin:thing\n"
        )
        (tmp_path / f"{name}_plugin.py").write_text(source + "\n")
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    code, out, err = run_cli("--help", env=env)
    assert (code, err) == (0, "")
    assert "quitter-it" in out
    assert run_cli("quitter-it", env=env)[::2] == (
        2,
        "iin: plugin 'quitter-it' of quitter 1.0 cannot be loaded: it crashes the process (SIGSEGV)\n",
    )
    code, out, _ = run_cli("plugins", "--check", "--json", env=env)
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert (rows["quitter"]["status"], rows["good"]["status"], rows["digit"]["status"]) == ("broken", "ok", "ok")
    assert rows["quitter"]["error"].endswith("cannot be loaded: it crashes the process (SIGSEGV)")
