"""S15, S19, S21, S25 and S27: attacks that find nothing to attack, and a test that it stays so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fastapi import FastAPI

import api
import hpsearch

ROOT = Path(hpsearch.__file__).parents[1]
SOURCES = sorted([*Path(hpsearch.__file__).parent.rglob("*.py"), *Path(api.__file__).parent.rglob("*.py")])
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
ARCHIVES = {"zipfile", "tarfile", "zipimport", "lzma", "bz2"}


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def called(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


# The one place where a user's code begins to run: its digest was compared, its folder is the worker's own.
RUNS_TASKS = ROOT / "hpsearch" / "training" / "resolution.py"

# The one place that reads a file of torch's own format, as tensors by name alone.
READS_WEIGHTS = ROOT / "hpsearch" / "training" / "pretrained.py"


def test_s15_s21_nothing_is_unpickled_unpacked_or_evaluated() -> None:
    forbidden = {"torch.load", "np.load", "numpy.load", "shutil.unpack_archive", "eval", "exec", "os.system"}
    assert len(SOURCES) > 100
    allowed = {RUNS_TASKS: {"exec"}, READS_WEIGHTS: {"torch.load", "pickle"}}
    for source in SOURCES:
        bad = (PICKLES | ARCHIVES | forbidden) - allowed.get(source, set())
        assert not {*imported(source), *called(source)} & bad, source
        assert "shell=True" not in source.read_text(), source


def test_s21_weights_are_loaded_as_tensors_only() -> None:
    tree = ast.parse(READS_WEIGHTS.read_text())
    loads = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "torch.load"]
    assert loads
    assert all("weights_only=True" in ast.unparse(load) for load in loads)
    named = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert {name for name in named if name.startswith("pickle.")} == {"pickle.UnpicklingError"}


def test_s19_no_route_takes_an_address_to_call(app: FastAPI) -> None:
    schema = app.openapi()
    names = {
        name.lower()
        for model in schema["components"]["schemas"].values()
        for name in model.get("properties", {})
    } | {
        parameter["name"].lower()
        for operations in schema["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
    }
    assert not [name for name in names if re.search(r"url|webhook|callback|endpoint", name)]


def test_s19_the_server_has_no_http_client() -> None:
    server = [path for path in SOURCES if {"api", "service", "store"} & set(path.relative_to(ROOT).parts)]
    for source in server:
        clients = {"httpx2", "httpx", "requests", "aiohttp", "urllib3"} & set(imported(source))
        assert not clients, source


def test_s25_studies_have_no_owner_to_hide_from(app: FastAPI) -> None:
    study = app.openapi()["components"]["schemas"]["Study"]["properties"]
    assert not {"owner", "user", "created_by", "tenant"} & set(study)


def test_s27_every_version_is_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 80
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!+_-]*", pin), pin
