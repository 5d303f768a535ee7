"""A finished or running study as one file: HTML with its pictures inside, or Markdown."""

from hpsearch.study_report.markdown import to_markdown
from hpsearch.study_report.page import CURVES, report

__all__ = ["CURVES", "report", "to_markdown"]
