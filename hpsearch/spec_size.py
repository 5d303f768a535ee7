"""How large a study's spec may be: each list of studies sends it, and a server keeps those that it works on."""

import json

from hpsearch.errors import InvalidInput, Problem
from hpsearch.spec import StudySpec

MAX_KIB = 256  # as JSON: an axis of a thousand paths, and a thousand fixed values beside it


def check_size(spec: StudySpec) -> None:
    """Raises InvalidInput for a spec that is too large, naming the part that makes it so."""
    said = spec.model_dump(mode="json")
    whole = len(json.dumps(said)) / 1024
    if whole <= MAX_KIB:
        return
    parts = {name: len(json.dumps(part)) for name, part in said.items()}
    largest = max(parts, key=lambda name: parts[name])
    detail = (
        f"study {spec.name!r} is {whole:,.0f} KiB as JSON, {parts[largest] / 1024:,.0f} of them under {largest}; "
        f"at most {MAX_KIB} are allowed, let trials read long values from a file"
    )
    raise InvalidInput(detail, problems=[Problem(f"/{largest}", detail)])
