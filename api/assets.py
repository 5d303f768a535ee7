"""Scripts and style sheets of the pages, from a literal list."""

from pathlib import Path

from fastapi import APIRouter, Response

from api.bodies import StrictRoute
from hpsearch.errors import NotFound
from hpsearch.study_report.style import STYLE

FOLDER = Path(__file__).with_name("static")
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
HEADERS = {"Cache-Control": "max-age=300"}

router = APIRouter(route_class=StrictRoute, include_in_schema=False)


def _files() -> dict[str, Path]:
    return {path.name: path for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}


FILES = _files()


@router.get("/static/{name}", operation_id="static")
def static(name: str) -> Response:
    """Raises NotFound for every other name: none is ever made into a path."""
    if name == "report.css":
        return Response(STYLE, media_type=TYPES[".css"], headers=HEADERS)
    if name not in FILES:
        raise NotFound(f"there is no /static/{name[:100]}")
    path = FILES[name]
    return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers=HEADERS)
