"""What FastAPI doesn't write into the schema by itself: problems and the bearer token."""

from typing import Any

from api.auth import is_open
from api.errors import MEDIA_TYPE
from hpsearch.wire import ProblemDetails

REFERENCE = "#/components/schemas/{model}"
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Every operation may answer with a problem and, but for the open paths, needs a token. Idempotent."""
    components = schema.setdefault("components", {})
    problem = ProblemDetails.model_json_schema(ref_template=REFERENCE)
    components.setdefault("schemas", {}).update(problem.pop("$defs", {}))
    components["schemas"]["ProblemDetails"] = problem
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    answer = {
        "description": "A problem (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model="ProblemDetails")}}},
    }
    for path, operations in schema["paths"].items():
        for method in operations.keys() & METHODS:
            operation = operations[method]
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = answer
            operation["security"] = [] if is_open(path) else [{"token": []}]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return schema
