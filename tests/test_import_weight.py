"""What an import may not bring along: held in fresh interpreters, since this one has loaded everything."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "torchvision",
    "sklearn",
    "sqlalchemy",
    "fastapi",
    "optuna",
    "scipy",
    "plotly",
    "httpx2",
    "numpy",
)


def loaded_by(statement: str) -> set[str]:
    """Top-level names in sys.modules after a statement in a new interpreter."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_hpsearch_alone_loads_nothing_heavy() -> None:
    assert not loaded_by("import hpsearch") & {*HEAVY, "pydantic"}


def test_worker_daemon_loads_neither_torch_nor_database_nor_server() -> None:
    loaded = loaded_by("import hpsearch.worker.daemon")
    assert not loaded & {
        "torch",
        "torchvision",
        "sklearn",
        "sqlalchemy",
        "fastapi",
        "starlette",
        "api",
    }


def test_child_loads_no_http_client_and_no_server() -> None:
    loaded = loaded_by("import hpsearch.worker.forkserver, hpsearch.worker.child")
    assert "torch" in loaded
    assert not loaded & {"httpx2", "sqlalchemy", "fastapi", "starlette", "api"}


@pytest.mark.parametrize("module", ["hpsearch.worker.settings", "hpsearch.worker.lifeline"])
def test_what_the_command_line_needs_of_the_worker_is_light(module: str) -> None:
    assert not loaded_by(f"import {module}") & {*HEAVY, "pydantic"}


def test_a_log_is_judged_without_torch_or_a_server() -> None:
    loaded = loaded_by("import hpsearch.cli.diagnose_log, hpsearch.cli.diagnosis_card")
    assert not loaded & {
        "torch",
        "torchvision",
        "sklearn",
        "sqlalchemy",
        "fastapi",
        "starlette",
        "api",
        "httpx2",
    }


def test_every_public_name_is_there_when_it_is_asked_for() -> None:
    program = (
        "import hpsearch\nfor name in hpsearch.__all__: assert getattr(hpsearch, name) is not None, name"
    )
    assert "torch" in loaded_by(program)
