"""The numbers behind a verdict as a table."""

from collections.abc import Sequence
from html import escape

from hpsearch.records import Evidence
from hpsearch.study_report import words

OPEN_EVIDENCE = 8  # a longer table starts folded


def evidence_table(evidence: Sequence[Evidence]) -> str:
    """Each number beside the threshold it was held against; folded where it is long."""
    if not evidence:
        return ""
    rows = "".join(
        f'<tr class="{ {True: "good", False: "bad", None: ""}[item.ok] }"><td>{escape(item.name)}</td>'
        f'<td class="number">{escape(words.number(item.value))}</td><td>{escape(item.threshold)}</td>'
        f"<td>{words.mark(item)}</td><td>{escape(item.text)}</td></tr>"
        for item in evidence
    )
    head = "<tr><th>evidence</th><th>value</th><th>threshold</th><th>ok</th><th>note</th></tr>"

    opened = " open" if len(evidence) <= OPEN_EVIDENCE else ""
    return (
        f'<details{opened}><summary>Evidence: {len(evidence)} {"number" if len(evidence) == 1 else "numbers"}</summary><div class="scroll">'
        f"<table>{head}{rows}</table></div></details>"
    )
