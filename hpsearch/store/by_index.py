"""Queries for the first rows of many, which Postgres must answer from the index that was made for them."""

from typing import Any

from sqlalchemy import ColumnElement, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Equals(FunctionElement[bool]):
    """Without a type: SQLAlchemy compares a boolean function to 1 on SQLite, which then finds no index."""

    inherit_cache = True


def equals(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """`column = value`; on Postgres as a range. Name the column in ORDER BY, too.

    Postgres takes a column that equals a constant out of ORDER BY; then the primary key gives the same order, and its
    planner, which takes the wanted rows to lie evenly among all others, walks that: past all trials of earlier studies
    (80,000 of them: 18 ms) where the index leads to the first one at once (0.03 ms). SQLite takes the index, and seeks
    by what follows in it only behind an equality.
    """
    return _Equals(column, type_coerce(value, column.type))


@compiles(_Equals)
def _as_range(element: _Equals, compiler: SQLCompiler, **how: Any) -> str:
    column, value = (compiler.process(part, **how) for part in element.clauses)
    return f"{column} BETWEEN {value} AND {value}"


@compiles(_Equals, "sqlite")
def _as_equality(element: _Equals, compiler: SQLCompiler, **how: Any) -> str:
    column, value = (compiler.process(part, **how) for part in element.clauses)
    return f"{column} = {value}"
