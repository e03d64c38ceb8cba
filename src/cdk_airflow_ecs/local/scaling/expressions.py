"""CloudWatch metric math: arithmetic, comparisons and a few functions."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_airflow_ecs.local.scaling.metrics import Series

Value = float | Series | list[Series]

_OPERATORS: Final[Mapping[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: lambda a, b: float(a > b),
    ast.GtE: lambda a, b: float(a >= b),
    ast.Lt: lambda a, b: float(a < b),
    ast.LtE: lambda a, b: float(a <= b),
    ast.Eq: lambda a, b: float(a == b),
    ast.NotEq: lambda a, b: float(a != b),
    ast.And: lambda a, b: float(bool(a) and bool(b)),
    ast.Or: lambda a, b: float(bool(a) or bool(b)),
}
_WORDS: Final = {"&&": " and ", "||": " or ", "AND": "and", "OR": "or", "^": "**"}
_REDUCTIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}
_MAPPINGS: Final[Mapping[str, Callable[[float], float]]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A parsed expression.

    Examples:
        >>> sorted(Expression.parse("IF(m1 > 2, m1, FILL(m2, 0)) / 2").names)
        ['m1', 'm2']
        >>> Expression.parse("m1 + m2").value({"m1": {0: 1.0, 60: 2.0}, "m2": {60: 3.0}}, [0, 60])
        {60: 5.0}
    """

    text: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Return the parsed expression; raises a ValueError if it is not supported."""
        python = re.sub(r"&&|\|\||\^|\bAND\b|\bOR\b", lambda match: _WORDS[match[0]], text)
        try:
            return cls(text=text, tree=ast.parse(python.strip(), mode="eval").body)
        except SyntaxError:
            raise ValueError(f"the expression {text} is not supported") from None

    @property
    def names(self) -> set[str]:
        """The ids of the queries in the expression, except for METRICS(), which means all metrics."""
        found = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        return found - set(map(_function, ast.walk(self.tree))) - {"REPEAT"}

    @property
    def needs_all(self) -> bool:
        """Whether the expression calls METRICS()."""
        return "METRICS" in map(_function, ast.walk(self.tree))

    def value(self, known: Mapping[str, Series], slots: Sequence[int]) -> Series:
        """Return the expression's values at the times *slots*; raises a ValueError if unsupported."""
        found = self._any(self.tree, known, slots)
        if isinstance(found, list):
            raise ValueError(f"the expression {self.text} has several time series")
        return found if isinstance(found, dict) else dict.fromkeys(slots, found)

    def _any(  # noqa: PLR0911  # one per kind of node
        self, node: ast.expr, known: Mapping[str, Series], slots: Sequence[int]
    ) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.List(elts=elements):
                return [_single(self._any(element, known, slots), slots) for element in elements]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _combine(operator.mul, -1.0, self._any(operand, known, slots))
            case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATORS:
                found = self._any(left, known, slots), self._any(right, known, slots)
                return _combine(_OPERATORS[type(kind)], *found)
            case ast.Compare(left=left, ops=[kind], comparators=[right]) if type(kind) in _OPERATORS:
                found = self._any(left, known, slots), self._any(right, known, slots)
                return _combine(_OPERATORS[type(kind)], *found)
            case ast.BoolOp(op=kind, values=[first, *others]):
                value = self._any(first, known, slots)
                for other in others:
                    value = _combine(_OPERATORS[type(kind)], value, self._any(other, known, slots))
                return value
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments, known, slots)
        raise ValueError(f"the expression {self.text} is not supported")

    def _call(self, name: str, nodes: list[ast.expr], known: Mapping[str, Series], slots: Sequence[int]) -> Value:
        if name == "METRICS" and not nodes:
            return [values for key, values in known.items() if key.startswith("m")]
        if name == "FILL" and len(nodes) == 2:
            return _filled(self._any(nodes[0], known, slots), self._filler(nodes[1], known, slots), slots)
        values = [self._any(node, known, slots) for node in nodes]
        if name in _MAPPINGS and len(values) == 1:
            mapping = _MAPPINGS[name]
            return _combine(lambda value, _: float(mapping(value)), values[0], 0.0)
        if name in _REDUCTIONS and values:
            return _reduced(_REDUCTIONS[name], values)
        if name == "IF" and len(values) == 3:
            condition, yes, no = (_single(value, slots) for value in values)
            chosen = {at: (yes if condition[at] else no).get(at) for at in condition}
            return {at: value for at, value in chosen.items() if value is not None}
        raise ValueError(f"the expression {self.text} is not supported")

    def _filler(self, node: ast.expr, known: Mapping[str, Series], slots: Sequence[int]) -> Value | None:
        is_repeat = isinstance(node, ast.Name) and node.id == "REPEAT"
        return None if is_repeat else self._any(node, known, slots)


def _function(node: ast.AST) -> str:
    """Return the name of the function that a node calls; empty if it calls none."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _single(value: Value, slots: Sequence[int]) -> Series:
    if isinstance(value, list):
        raise ValueError("a list of time series is only supported in MAX, MIN, SUM and AVG")
    return value if isinstance(value, dict) else dict.fromkeys(slots, value)


def _combine(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Combine two series at the times that both have; omit divisions by zero."""
    if isinstance(left, list) or isinstance(right, list):
        raise ValueError("a list of time series is only supported in MAX, MIN, SUM and AVG")
    if not isinstance(left, dict) and not isinstance(right, dict):
        return function(left, right)
    times = [set(value) for value in (left, right) if isinstance(value, dict)]
    found: Series = {}
    for at in sorted(set.intersection(*times)):
        one = left[at] if isinstance(left, dict) else left
        other = right[at] if isinstance(right, dict) else right
        try:
            found[at] = function(one, other)
        except ZeroDivisionError:
            continue
    return found


def _reduced(function: Callable[[Sequence[float]], float], values: Sequence[Value]) -> Value:
    """Reduce one series to a number, and a list of series to one series."""
    if len(values) == 1 and isinstance(values[0], dict):
        return float(function(list(values[0].values()))) if values[0] else {}
    if len(values) == 1 and isinstance(values[0], list):
        times = sorted({at for each in values[0] for at in each})
        return {at: float(function([each[at] for each in values[0] if at in each])) for at in times}
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) == len(values):
        return float(function(numbers))
    raise ValueError("MAX, MIN, SUM and AVG of several series need a list: MAX([m1, m2])")


def _filled(value: Value, filler: Value | None, slots: Sequence[int]) -> Series:
    """Fill missing values from *filler*; without *filler*, repeat the last value."""
    known, fill = _single(value, slots), None if filler is None else _single(filler, slots)
    found: Series = {}
    last: float | None = None
    for at in slots:
        last = known.get(at, last if fill is None else fill.get(at))
        if last is not None:
            found[at] = last
    return found
