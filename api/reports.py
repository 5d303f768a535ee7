"""A study's report, made on the server."""

import base64
import hashlib
from typing import Literal

from fastapi import Response

from api.resources import Resources
from hpsearch.service import diagnoses, studies, trials
from hpsearch.study_report import CURVES, report, to_markdown
from hpsearch.study_report.style import STYLE

REPORT_TYPES = {"html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8"}
TRIALS, POINTS, BEST = 1_000, 200, 10  # what a report is made of; it says what it leaves out
# No script, nothing from anywhere, and no origin of its own: the file holds users' words.
POLICY = (
    "default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox"
)


def report_response(held: Resources, key: str, format: Literal["html", "md"]) -> Response:  # noqa: A002
    """Raises NotFound."""
    study = studies.get(held.db, key)
    stages = studies.stages(held.db, key).stages
    best = studies.best(held.db, key, BEST).best
    shown = trials.page(held.db, key, page_size=TRIALS).trials
    judged = diagnoses.of_study(held.db, key).diagnoses
    if format == "md":
        text = to_markdown(study, stages, shown, best, judged)
    else:
        curves = {
            metric: trials.curves(held.db, key, metric=metric, points=POINTS, top=TRIALS) for metric in CURVES
        }
        text = report(study, stages, shown, curves, best, judged)
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    headers = {
        "Content-Security-Policy": POLICY.format(digest=digest),
        "Content-Disposition": f'inline; filename="{study.name}.{format}"',
    }
    return Response(text, media_type=REPORT_TYPES[format], headers=headers)
