"""The OpenAPI document as a page shows it."""

from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")


def operations(schema: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, each with its parameters, the fields of its body and its answers."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, by_method in schema["paths"].items():
        for method in METHODS:
            if method in by_method:
                operation = by_method[method]
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(path, method, operation, schema))
    return groups


def _operation(path: str, method: str, operation: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "text": operation.get("description", ""),
        "open": operation.get("security") == [],
        "parameters": [
            {
                "name": one["name"],
                "where": one["in"],
                "type": type_text(one["schema"]),
                "required": one.get("required", False),
                "text": one.get("description", ""),
            }
            for one in operation.get("parameters", ())
        ],
        "body": type_text(body) if body else "",
        "fields": _fields(body, schema) if body else [],
        "answers": [
            {"status": status, "type": _answer_type(answer), "text": answer.get("description", "")}
            for status, answer in operation["responses"].items()
        ],
    }


def _fields(body: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    model = schema["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], body)
    required = model.get("required", ())
    return [
        {
            "name": name,
            "type": type_text(field),
            "required": name in required,
            "text": field.get("description", ""),
        }
        for name, field in model.get("properties", {}).items()
    ]


def _answer_type(answer: dict[str, Any]) -> str:
    kinds = [
        type_text(content["schema"]) if content.get("schema") else media_type
        for media_type, content in answer.get("content", {}).items()
    ]
    return ", ".join(kinds)


def type_text(schema: dict[str, Any]) -> str:
    """A JSON schema in few words: `Study`, `integer 1–1000`, `list of string`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(type_text(one) for one in schema[key]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {type_text(schema.get('items') or {})}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = (
        f" {low if low is not None else ''}–{high if high is not None else ''}"
        if low is not None or high is not None
        else ""
    )
    return f"{kind}{bounds}"
