"""What FastAPI doesn't write into the schema by itself: problems and the bearer token."""

from typing import Any

from api.auth import is_open
from api.errors import MEDIA_TYPE
from hpsearch.wire import ProblemDetails

REFERENCE = "#/components/schemas/{model}"
# What an answer's ids are good for: operation -> the operations that take them, and where they stand in it.
STUDY = {"study": "$response.body#/name"}
RUN = {"run": "$response.body#/leases/0/run_id"}
LINKS: dict[str, dict[str, dict[str, str]]] = {
    "create_study": dict.fromkeys(("get_study", "patch_study", "list_stages", "list_trials", "get_best", "list_curves", "pause_study", "resume_study", "stop_study", "cancel_study", "retry_study", "fork_study", "get_importances", "get_report", "export_study", "stream_events", "delete_study"), STUDY),
    "list_trials": {
        name: {"trial": "$response.body#/trials/0/id"}
        for name in ("get_trial", "get_trial_metrics", "list_runs", "list_logs", "stop_trial", "retry_trial")
    },
    "register_worker": {name: {"worker": "$response.body#/id"} for name in ("heartbeat", "drain_worker")},
    "lease": dict.fromkeys(("report_metrics", "report_logs", "complete_run", "diverged_run", "pruned_run", "failed_run", "release_run", "put_checkpoint"), RUN),
    "create_token": {"revoke_token": {"token": "$response.body#/token/id"}},
}  # fmt: skip
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
            _link(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return schema


def _link(operation: dict[str, Any]) -> None:
    """Say on each good answer which operations its ids lead to."""
    links = {
        name: {"operationId": name, "parameters": parameters}
        for name, parameters in LINKS.get(operation["operationId"], {}).items()
    }
    for status, answer in operation["responses"].items():
        if links and status.startswith("2"):
            answer["links"] = links
