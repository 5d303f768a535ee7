"""The schema is a promise to other clients: a change of it must be seen in review.

Write it anew with `python -m tests.api.test_openapi`.
"""

import json
from pathlib import Path
from typing import Any

from api.app import create_app
from api.settings import Settings
from hpsearch.home import Home

SNAPSHOT = Path(__file__).with_name("openapi.json")


def schema() -> dict[str, Any]:
    found = create_app(Settings(home=Home(Path("unused")))).openapi()
    found["info"]["version"] = "any"
    return found


def test_the_snapshot_is_current() -> None:
    assert json.loads(SNAPSHOT.read_text()) == schema(), "run: python -m tests.api.test_openapi"


def test_operation_ids_are_explicit_and_unique() -> None:
    ids = [operation["operationId"] for path in schema()["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert not any("api_v1" in name for name in ids)


def test_every_json_answer_is_typed() -> None:
    for path, operations in schema()["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for media_type, content in answer.get("content", {}).items():
                    if "json" in media_type and media_type != "application/jsonl":
                        assert content["schema"], (path, status)


def test_names_are_snake_case() -> None:
    for name, model in schema()["components"]["schemas"].items():
        for field in model.get("properties", {}):
            assert field == field.lower(), (name, field)


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(schema(), indent=1, sort_keys=True) + "\n")
