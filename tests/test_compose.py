"""docker-compose.yml and the files it is made of agree; no engine is needed to see it."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(document, dict)
    return document


def test_every_service_has_a_health_check_and_comes_back(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "server", "worker"}
    for service in compose["services"].values():
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


def test_secrets_are_files_and_stand_nowhere_else(compose: dict[str, Any]) -> None:
    used = {name for service in compose["services"].values() for name in service["secrets"]}
    assert used == set(compose["secrets"])
    assert all(secret["file"].startswith("./docker/secrets/") for secret in compose["secrets"].values())
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    for service in compose["services"].values():
        values = " ".join(service.get("environment", {}).values())
        assert not re.search(r"://[^/@]*:[^/@]*@", values)


def test_volumes_are_declared(compose: dict[str, Any]) -> None:
    named = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
        if volume[0].isalpha()
    }
    assert named == set(compose["volumes"])


def test_images_are_built_from_stages_and_files_that_exist(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE))
    for name in ("server", "worker"):
        build = compose["services"][name]["build"]
        assert (ROOT / build["dockerfile"]).exists()
        assert build["target"] in stages
    for sources in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def test_server_is_reachable_from_this_machine_only(compose: dict[str, Any]) -> None:
    assert compose["services"]["server"]["ports"] == ["127.0.0.1:8000:8000"]


def test_worker_has_longer_to_end_than_it_takes(compose: dict[str, Any]) -> None:
    from hpsearch.worker.settings import Limits  # noqa: PLC0415 - beside the figure it is held against

    assert int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s")) > Limits().drain
