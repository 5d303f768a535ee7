"""Commands in real processes: alone, and as packs of a worker."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpsearch.command import CommandTask
from hpsearch.commandscript import with_script
from hpsearch.records import FailureReason, Outcome, Program, Series
from hpsearch.spec import Objective
from hpsearch.wire import Assignment
from hpsearch.worker.commands import CommandPlace, command_seed, run_command
from hpsearch.worker.settings import Limits
from tests.training.bench import joined
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer
from tests.worker.processes import wait_until_gone

LOSS = Objective(metric="val_loss", direction="minimize")


class Bench:
    """Runs scripts as commands, in a folder of their own."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "study"
        self.folder.mkdir()
        self.root = tmp_path
        self.runs = 0

    def script(self, text: str, *arguments: str, **task: Any) -> CommandTask:
        (self.folder / "script.py").write_text(text)
        return CommandTask(argv=("python", "script.py", *arguments), **task)

    def run(self, task: CommandTask, *, stop_after: float = 1e9, **changes: Any) -> Outcome:
        self.runs += 1
        run_dir = self.root / f"run-{self.runs}"
        run_dir.mkdir()
        words = {"allowed": True, "tasks_dir": self.folder, "grace_seconds": 2.0}
        place = CommandPlace(
            run_dir=run_dir,
            kept_dir=self.root / "kept",
            data_dir=self.root,
            device="cpu",
            **{**words, **{key: value for key, value in changes.items() if key in words}},
        )
        rest = {key: value for key, value in changes.items() if key not in words}
        assignment = Assignment(**{"task": task, "program": Program(kind="train"), "objective": LOSS, **rest})
        self.reports: list[Series] = []
        began_at = time.monotonic()
        return run_command(
            assignment, place, self.reports.append, lambda: time.monotonic() > began_at + stop_after
        )

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        return {
            name: list(zip(points.steps, points.values, strict=True))
            for name, points in joined(self.reports).items()
        }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_script_is_run_only_as_the_study_was_made_with_it(bench: Bench, tmp_path: Path) -> None:
    task = with_script(bench.script("print('{\"val_loss\": 1}')"), bench.folder)
    assert task.script == "script.py"
    assert bench.run(task).state == "completed"
    (bench.folder / "script.py").write_text("open('ran', 'w'); print('{\"val_loss\": 1}')")
    outcome = bench.run(task)
    assert outcome.reason is FailureReason.TASK_NOT_ALLOWED
    assert str(task.sha256)[:12] in outcome.message
    assert not (bench.folder / "ran").exists()
    (bench.folder / "script.py").rename(tmp_path / "script.py")
    assert "there is no script script.py" in bench.run(task).message
    (bench.folder / "script.py").symlink_to(tmp_path / "script.py")
    outcome = bench.run(task)
    assert (outcome.reason, "leads out" in outcome.message) == (FailureReason.TASK_NOT_ALLOWED, True)


def test_parameters_arrive_by_placeholder_flag_and_variable(bench: Bench, tmp_path: Path) -> None:
    evil = "a b; touch owned $(touch owned)"
    task = bench.script(
        "import json, os, sys\n"
        "seen = {k: v for k, v in os.environ.items() if k.startswith('HPSEARCH_')}\n"
        "open('seen.json', 'w').write(json.dumps([sys.argv[1:], seen, os.getcwd()]))\n"
        "print('{\"val_loss\": 1}')\n",
        "--lr={lr}",
        flags=True,
    )
    outcome = bench.run(task, params={"lr": 0.1, "name": evil}, fixed={"deep": True}, seed=3, replicate=1)
    assert outcome.state == "completed", outcome.message
    argv, seen, folder = json.loads((bench.folder / "seen.json").read_text())
    assert argv == ["--lr=0.1", "--deep", "true", "--name", evil]
    assert json.loads(seen["HPSEARCH_PARAMS"]) == {"deep": True, "lr": 0.1, "name": evil}
    assert (seen["HPSEARCH_PARAM_LR"], seen["HPSEARCH_PARAM_NAME"]) == ("0.1", evil)
    assert seen["HPSEARCH_REPLICATE"] == "1"
    assert 0 <= int(seen["HPSEARCH_SEED"]) < 2**31
    assert Path(folder) == bench.folder
    assert not list(tmp_path.rglob("owned"))


def test_the_seed_follows_from_study_and_replicate(bench: Bench) -> None:
    task = CommandTask(argv=("x",))
    seeds = {
        command_seed(Assignment(task=task, program=Program(kind="train"), seed=seed, replicate=replicate))
        for seed in (0, 1)
        for replicate in (0, 1)
    }
    assert len(seeds) == 4


def test_json_lines_become_curves_and_the_best_is_the_value(bench: Bench) -> None:
    task = bench.script(
        "import json\n"
        "for step, loss in [(1, 3.0), (5, 1.0), (9, 2.0)]:\n"
        "    print('working')\n"
        "    print(json.dumps({'step': step, 'train_loss': loss / 2, 'val_loss': loss}))\n"
    )
    outcome = bench.run(task)
    assert (outcome.state, outcome.value, outcome.steps) == ("completed", 1.0, 9)
    assert bench.curves["val_loss"] == [(1, 3.0), (5, 1.0), (9, 2.0)]
    assert outcome.metrics["val_loss"] == 2.0
    assert outcome.metrics["best_train_loss"] == 0.5
    assert outcome.measurements["objective_best"] == 1.0
    assert outcome.measurements["best_position"] == pytest.approx(2 / 3)
    worst = bench.run(task, objective=Objective(metric="val_loss", direction="maximize"))
    assert worst.value == 3.0


def test_the_helper_reports_past_a_redirected_output(bench: Bench) -> None:
    task = bench.script(
        "import os, sys, hpsearch\n"
        "sys.stdout = open(os.devnull, 'w')\n"
        "for step in range(300):\n"
        "    hpsearch.report(step, val_loss=300 - step)\n"
        "print(hpsearch.should_stop())\n"
    )
    outcome = bench.run(task)
    assert (outcome.state, outcome.value) == ("completed", 1.0)
    assert [step for step, _ in bench.curves["val_loss"]] == list(range(300))


def test_an_unchanged_script_is_read_by_the_study_s_pattern(bench: Bench) -> None:
    task = bench.script(
        "import sys\n"
        "for epoch in range(3):\n"
        "    print(f'Epoch {epoch}: val loss = {1 / (epoch + 1):.3f}', file=sys.stderr, end='\\r')\n",
        pattern=r"Epoch (?P<step>\d+): val loss = (?P<val_loss>\S+)",
    )
    assert bench.run(task).value == 0.333
    assert bench.curves["val_loss"] == [(0, 1.0), (1, 0.5), (2, 0.333)]


def test_a_pattern_that_is_none_fails_with_a_sentence(bench: Bench) -> None:
    outcome = bench.run(bench.script("", pattern="(?P<val_loss>"))
    assert outcome.reason is FailureReason.ERROR
    assert "is not a regular expression" in outcome.message


def test_an_exit_code_is_an_error_with_the_last_lines(bench: Bench) -> None:
    outcome = bench.run(bench.script("print('{\"val_loss\": 1}')\nraise ValueError('no such thing')"))
    assert outcome.reason is FailureReason.ERROR
    assert outcome.message.startswith("the command ended with exit code 1\n")
    assert outcome.message.endswith("ValueError: no such thing")
    assert outcome.value is None


def test_a_signal_is_a_crash(bench: Bench) -> None:
    outcome = bench.run(bench.script("import os\nos.kill(os.getpid(), 11)"))
    assert outcome.reason is FailureReason.CRASHED
    assert "SIGSEGV" in outcome.message


@pytest.mark.parametrize("word", ["NaN", "-Infinity", '"NaN"'])
def test_a_non_finite_objective_ends_the_trial_as_diverged(bench: Bench, word: str) -> None:
    task = bench.script(
        "import time\n"
        'print(\'{"step": 1, "loss": 2.0, "val_loss": 2.0}\')\n'
        f'print(\'{{"step": 2, "loss": {word}, "val_loss": {word}}}\')\n'
        "time.sleep(60)\n"
    )
    began_at = time.monotonic()
    outcome = bench.run(task)
    assert time.monotonic() - began_at < 30
    assert (outcome.state, outcome.value) == ("diverged", None)
    assert outcome.metrics["loss"] == 2.0
    assert outcome.measurements["diverged_at"] == 2.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("print('all good')", "reported no metric: its last line was 'all good'"),
        ("", "reported no metric: it printed nothing"),
        ('print(\'{"loss": 1, "acc": 1}\')', "reported acc, loss, but not the objective val_loss"),
    ],
)
def test_without_the_objective_a_trial_fails_and_says_what_was_seen(
    bench: Bench, text: str, said: str
) -> None:
    outcome = bench.run(bench.script(text))
    assert outcome.reason is FailureReason.ERROR
    assert said in outcome.message


def test_a_program_that_is_not_there_fails_with_a_sentence(bench: Bench) -> None:
    outcome = bench.run(CommandTask(argv=("no-such-program",)))
    assert outcome.reason is FailureReason.ERROR
    assert outcome.message == "the command can't be started: No such file or directory"


def test_what_a_command_leaves_running_ends_with_it(bench: Bench) -> None:
    task = bench.script(
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        'print(f\'{{"val_loss": 1, "pid": {left.pid}}}\')\n'
    )
    outcome = bench.run(task)
    assert outcome.state == "completed"
    wait_until_gone(int(outcome.metrics["pid"]), seconds=5)


def test_a_stop_is_told_and_the_next_run_finds_what_was_kept(bench: Bench) -> None:
    task = bench.script(
        "import os, pathlib, time, hpsearch\n"
        "kept = pathlib.Path(os.environ['HPSEARCH_CHECKPOINT_DIR'], 'step')\n"
        "first = int(kept.read_text()) if kept.exists() else 0\n"
        "for step in range(first, 10_000):\n"
        "    hpsearch.report(step, val_loss=1 / (step + 1))\n"
        "    if hpsearch.should_stop():\n"
        "        kept.write_text('9_998')\n"
        "        raise SystemExit(0)\n"
        "    time.sleep(0.01)\n"
    )
    assert bench.run(task, stop_after=1.0).state == "released"
    assert bench.run(task).state == "completed"
    assert bench.curves["val_loss"][0][0] == 9_998
    assert not (bench.root / "kept").exists()


def test_a_command_that_keeps_nothing_new_is_seen_to_be_at_work(bench: Bench) -> None:
    kept = bench.root / "kept"
    kept.mkdir()
    os.utime(kept, (0, 0))
    task = bench.script(
        "import os, pathlib, time\n"
        "folder = pathlib.Path(os.environ['HPSEARCH_CHECKPOINT_DIR'])\n"
        "at_first = folder.stat().st_mtime\n"
        "os.utime(folder, (0, 0))\n"
        "for step in range(100):\n"
        "    print('{\"val_loss\": 1}', flush=True)\n"
        "    if folder.stat().st_mtime > 0: break\n"
        "    time.sleep(0.1)\n"
        "assert at_first > 0 and folder.stat().st_mtime > 0\n"
    )
    assert bench.run(task).state == "completed"


def test_a_command_deaf_to_sigterm_is_killed_with_its_group(bench: Bench) -> None:
    task = bench.script(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "deaf = 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf])\n"
        "print(f'{{\"pid\": {child.pid}}}')\n"
        "time.sleep(600)\n"
    )
    outcome = bench.run(task, stop_after=1.0, grace_seconds=1.0)
    assert outcome.state == "released"
    wait_until_gone(int(outcome.metrics["pid"]), seconds=5)


def test_commands_run_only_where_they_are_allowed(bench: Bench, tmp_path: Path) -> None:
    task = bench.script("open('ran', 'w')")
    (bench.folder / "link").symlink_to(tmp_path)
    linked = task.model_copy(update={"folder": "link"})
    absent = task.model_copy(update={"folder": "absent"})
    outcomes = [
        bench.run(task, allowed=False),
        bench.run(task, tasks_dir=None),
        bench.run(linked),
        bench.run(absent),
    ]
    assert {outcome.reason for outcome in outcomes} == {FailureReason.TASK_NOT_ALLOWED}
    assert "--allow-commands" in outcomes[0].message
    assert not list(tmp_path.rglob("ran"))


# --- in a worker ---------------------------------------------------------------------------------

SLEEPER = (
    "import subprocess,sys,time;"
    "p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)']);"
    "import json; print(json.dumps(dict(val_accuracy=1, pid=p.pid))); time.sleep(600)"
)


def test_a_worker_without_leave_runs_nothing(server: FakeServer, make_crew: MakeCrew) -> None:
    runs = server.plan({}, task=CommandTask(argv=(sys.executable, "-c", "print(1)")))
    make_crew()
    (outcome,) = server.wait_for_outcomes(runs)
    assert outcome.reason is FailureReason.TASK_NOT_ALLOWED


def test_a_pack_of_commands_reports_each_with_its_own_output(server: FakeServer, make_crew: MakeCrew) -> None:
    task = CommandTask(argv=(sys.executable, "-c", "print('hello {n}'); print('{\"val_accuracy\": {n}}')"))
    runs = server.plan({"n": 1}, {"n": 2}, task=task)
    make_crew(allow_commands=True)
    assert [outcome.value for outcome in server.wait_for_outcomes(runs)] == [1.0, 2.0]
    assert "hello 1" in server.logs[runs[0]]
    assert "hello 2" in server.logs[runs[1]]
    assert "hello 1" not in server.logs[runs[1]]


def test_a_lost_lease_kills_the_command_and_all_it_started(server: FakeServer, make_crew: MakeCrew) -> None:
    server.lease_seconds = 0.6
    (run,) = server.plan({}, task=CommandTask(argv=(sys.executable, "-c", SLEEPER)))
    make_crew(allow_commands=True)
    server.wait_for_points(run)
    pid = int(server.points[run]["pid"][0][1])
    server.lost = {run}
    wait_until_gone(pid, seconds=20)


def test_a_silent_command_has_stalled(server: FakeServer, make_crew: MakeCrew) -> None:
    runs = server.plan({}, task=CommandTask(argv=(sys.executable, "-c", SLEEPER)))
    make_crew(allow_commands=True, limits=Limits(startup=10, no_progress=2, grace=2, patience=1))
    (outcome,) = server.wait_for_outcomes(runs)
    assert outcome.reason is FailureReason.STALLED
    wait_until_gone(int(server.points[runs[0]]["pid"][0][1]), seconds=10)


def test_no_token_reaches_a_command(
    server: FakeServer, make_crew: MakeCrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPSEARCH_TOKEN", "s3cret")
    program = "import os; print(dict(os.environ)); print('{\"val_accuracy\": 1}')"
    runs = server.plan({}, task=CommandTask(argv=(sys.executable, "-c", program)))
    make_crew(allow_commands=True)
    assert server.wait_for_outcomes(runs)[0].state == "completed"
    assert "HPSEARCH_SEED" in server.logs[runs[0]]
    assert "s3cret" not in server.logs[runs[0]]
