"""Conditions on runs, as they are typed: ``lr > 0.1 and outcome == 'learned'``.

A condition is written in a small part of Python's syntax. Its syntax tree is applied to the
columns; nothing is evaluated as code.
"""

import ast
import difflib
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import pandas as pd

from nnlab.errors import ComparisonError
from nnlab.wording import agreeing, counted

ORDERED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
NAMED = 5  # runs that a note lists by their ids
ALLOWED = (
    "comparisons (== != < <= > >= in, not in) of columns with numbers, 'words' and [lists], joined "
    "by and, or, not"
)


def column(name: str, columns: Sequence[str]) -> str:
    """Return the column that a name means: its own name or a shorter one.

    As on the command line, ``init`` is ``init.name``; and ``val_accuracy`` is ``val/accuracy``.

    Raises
    ------
    ComparisonError
        If there is no such column.
    """
    names = {full.replace("/", "_"): full for full in columns}
    names |= {full.removesuffix(".name"): full for full in columns if full.endswith(".name")}
    names |= {full: full for full in columns}
    if name in names:
        return names[name]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(columns)}."
    raise ComparisonError(f"{name} is no column of these runs: {hint}")


def runs_where(runs: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the runs that meet a condition.

    Names are columns of the runs (parameters, metrics, ``outcome``, ``status``, …). Only numbers
    are ordered: a word is neither more nor less than a number. A missing value equals only
    ``None``.

    Parameters
    ----------
    runs : DataFrame
        See ``frames.read_runs``.
    condition : str

    Raises
    ------
    ComparisonError
        If the condition cannot be read, names no column, or no run meets it.
    """
    try:
        tree = ast.parse(condition.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ComparisonError(f"--where {condition!r} cannot be read: give {ALLOWED}.") from error
    chosen = runs[_Condition(runs, condition).truth(tree)]
    if chosen.empty:
        count = counted(len(runs), "run")
        raise ComparisonError(f"None of the {count} meets --where {condition!r}.")
    return chosen


def left_out_note(runs: pd.DataFrame, condition: str) -> list[str]:
    """Return a sentence on the runs that do not meet a condition only as they lack a param.

    Parameters
    ----------
    runs : DataFrame
        Those that the condition was applied to.
    condition : str
        One that ``runs_where`` has accepted.
    """
    names = _names(runs, condition)
    params = [name for name in runs.attrs["params"] if name in names]
    without = runs[runs[params].isna().any(axis=1)]
    without = without.drop(index=runs_where(runs, condition).index, errors="ignore")
    if without.empty:
        return []
    ids = ", ".join(run_id[:8] for run_id in without["run_id"][:NAMED])
    more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
    sentence = (
        f"{len(without)} of {counted(len(runs), 'run')} "
        f"{agreeing(len(without), 'is left out, for it has', 'are left out, for they have')} no "
        f"{' or '.join(params)}: {ids}{more}. Where the process was killed, `nnlab doctor` "
        "adds it."
    )
    return [sentence]


def chosen_by_result_note(runs: pd.DataFrame, condition: str) -> list[str]:
    """Return a sentence where a condition chooses runs by what became of them.

    Parameters
    ----------
    runs : DataFrame
        Those that the condition was applied to.
    condition : str
        One that ``runs_where`` has accepted.
    """
    results = ["outcome", "status", *runs.attrs["metrics"]]
    names = sorted(_names(runs, condition).intersection(results))
    if not names:
        return []
    sentence = (
        f"--where chooses runs by what became of them ({', '.join(names)}): means, intervals and "
        "tests hold for such runs alone, and do not say which configuration is better."
    )
    return [sentence]


def _names(runs: pd.DataFrame, condition: str) -> set[str]:
    """Return the columns that a condition names."""
    nodes = list(ast.walk(ast.parse(condition.strip(), mode="eval")))
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    return {
        column(ast.unparse(node), list(runs.columns))
        for node in nodes
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner
    }


class _Condition:
    """A condition on the columns of some runs."""

    def __init__(self, runs: pd.DataFrame, text: str) -> None:
        self._runs = runs
        self._text = text

    def truth(self, node: ast.expr) -> "pd.Series[bool]":
        """Return for each run whether it meets this part of the condition."""
        match node:
            case ast.BoolOp(ast.And(), values):
                return reduce(operator.and_, map(self.truth, values))
            case ast.BoolOp(ast.Or(), values):
                return reduce(operator.or_, map(self.truth, values))
            case ast.UnaryOp(ast.Not(), operand):
                return ~self.truth(operand)
            case ast.Compare(left, ops, comparators):
                sides = [left, *comparators]
                result = pd.Series(data=True, index=self._runs.index)
                for sign, one, other in zip(ops, sides, sides[1:], strict=False):
                    result &= self._compared(sign, one, other)
                return result
        raise self._refusal(node)

    def _compared(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> "pd.Series[bool]":
        one = self._side(left)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self._refusal(right)
            among = one.isin([self._constant(each) for each in right.elts])
            return among if isinstance(op, ast.In) else ~among
        other = self._side(right)
        if type(op) in ORDERED:
            ordered: pd.Series[bool] = ORDERED[type(op)](_numbers(one), _numbers(other))
            return ordered
        if not isinstance(op, ast.Eq | ast.NotEq):
            raise self._refusal(left)
        equal = ((one == other) | (one.isna() & other.isna())).fillna(value=False).astype(bool)
        return equal if isinstance(op, ast.Eq) else ~equal

    def _side(self, node: ast.expr) -> pd.Series:
        if isinstance(node, ast.Name | ast.Attribute):
            return self._runs[column(self._name(node), list(self._runs.columns))].astype(object)
        value = self._constant(node)
        return pd.Series([value] * len(self._runs), index=self._runs.index, dtype=object)

    def _name(self, node: ast.expr) -> str:
        match node:
            case ast.Name(name):
                return name
            case ast.Attribute(value, attribute):
                return f"{self._name(value)}.{attribute}"
        raise self._refusal(node)

    def _constant(self, node: ast.expr) -> int | float | str | None:
        match node:
            case ast.Constant(bool()):
                raise self._refusal(node)
            case ast.Constant(int() | float() | str() | None as value):
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
                return -value
            case ast.Name(name):
                raise ComparisonError(
                    f"--where {self._text!r}: {name} in a list is a word: write {name!r}."
                )
        raise self._refusal(node)

    def _refusal(self, node: ast.expr) -> ComparisonError:
        part = ast.get_source_segment(self._text.strip(), node) or self._text
        return ComparisonError(
            f"--where {self._text!r}: {part!r} is not allowed there; give {ALLOWED}."
        )


def _numbers(values: pd.Series) -> "pd.Series[float]":
    return pd.to_numeric(values, errors="coerce").astype(float)
