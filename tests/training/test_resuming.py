"""What an interrupted run leaves in its folder, and what `--resume` accepts."""

import json

import pytest

from iin_cli.errors import DivergedError, UsageError
from iin_cli.io.rundir import open_run
from iin_cli.training.resuming import resumable, seed_of_run

PLAN = {"seed": 7, "plan": {"steps": 10, "max_seconds": None, "betas": (0.9, 0.99)}, "scores": {"digit": 0.25}}


def interrupt(folder, error, with_state=True, resume=False, plan=PLAN):
    try:
        with resumable(folder, plan, resume) as state:
            if with_state:
                state.write_text("state")
            raise error
    except type(error) as raised:
        return raised


def test_a_run_that_succeeds_leaves_its_plan_only(tmp_path):
    with resumable(tmp_path, PLAN, False) as state:
        state.write_text("state")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
    assert json.loads((tmp_path / "plan.json").read_text())["seed"] == 7


def test_an_interrupted_run_says_how_to_go_on(tmp_path):
    error = interrupt(tmp_path, KeyboardInterrupt())
    assert error.__notes__ == [f"the same command with --resume --out {tmp_path} goes on"]
    assert seed_of_run(tmp_path, "t.safetensors", None, True) == 7
    with resumable(tmp_path, {**PLAN, "scores": {"digit": 0.2500001}}, True):
        pass
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(("error", "with_state"), [(KeyboardInterrupt(), False), (DivergedError("x"), True)])
def test_a_run_that_cannot_go_on_leaves_nothing(tmp_path, error, with_state):
    raised = interrupt(tmp_path, error, with_state)
    assert not getattr(raised, "__notes__", [])
    assert not list(tmp_path.iterdir())


def test_the_plan_of_a_diverged_run_stays_with_what_was_kept(tmp_path):
    def diverge():
        with resumable(tmp_path, PLAN, False) as state:
            state.write_text("state")
            (tmp_path / "translator.safetensors").write_text("best")
            raise DivergedError("x")

    with pytest.raises(DivergedError):
        diverge()
    assert {file.name for file in tmp_path.iterdir()} == {"plan.json", "translator.safetensors"}


def test_time_may_change_but_not_the_plan(tmp_path):
    interrupt(tmp_path, KeyboardInterrupt())
    with (
        pytest.raises(UsageError, match="has plan steps 10, and now it is 20"),
        resumable(tmp_path, {**PLAN, "plan": {**PLAN["plan"], "steps": 20}}, True),
    ):
        pass
    assert (tmp_path / "training-state.safetensors").exists()
    with resumable(tmp_path, {**PLAN, "plan": {**PLAN["plan"], "max_seconds": 5.0}}, True):
        pass


def test_seeds(tmp_path):
    assert seed_of_run(None, "t", 3, False) == 3
    assert seed_of_run(None, "t", None, False) != seed_of_run(None, "t", None, False)
    interrupt(tmp_path, KeyboardInterrupt())
    assert seed_of_run(tmp_path, "t", 7, True) == 7
    with pytest.raises(UsageError, match="has seed 7, not 8"):
        seed_of_run(tmp_path, "t", 8, True)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(UsageError, match="--out"):
        seed_of_run(None, "t", None, True)
    with pytest.raises(UsageError, match="no interrupted run"):
        seed_of_run(tmp_path / "new", "t", None, True)
    (tmp_path / "t").write_text("x")
    with pytest.raises(UsageError, match="has finished"):
        seed_of_run(tmp_path, "t", None, True)


def test_a_log_alone_is_no_run_to_go_on_with(tmp_path):
    """Killed before its first save, a run leaves its plan and its log; the next one starts anew in the folder."""
    folder = tmp_path / "run"
    (folder / "tensorboard").mkdir(parents=True)
    (folder / "tensorboard" / "events").write_text("")
    (folder / "log.jsonl").write_text('{"step": 1}\n')
    (folder / "plan.json").write_text('{"seed": 7}')
    with open_run(folder, "x") as claimed:
        assert list(claimed.iterdir()) == []
    (folder / "log.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(UsageError, match="is not empty"), open_run(folder, "x"):
        pass


def test_a_run_that_fails_before_it_is_saved_takes_its_log_along(tmp_path):
    (tmp_path / "log.jsonl").write_text("")
    interrupt(tmp_path, MemoryError(), with_state=False)
    assert list(tmp_path.iterdir()) == []
