"""Queries for the first rows of many, which Postgres must answer from the index that was made for them."""

from typing import Any

from sqlalchemy import ColumnElement


def equals(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """`column = value`, as a range. Name the column in ORDER BY, too.

    Postgres takes a column that equals a constant out of ORDER BY; then the primary key gives the same order, and its
    planner, which takes the wanted rows to lie evenly among all others, walks that: past all trials of earlier studies
    (80,000 of them: 18 ms) where the index leads to the first one at once (0.03 ms).
    """
    return column.between(value, value)
