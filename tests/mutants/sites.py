"""The ways in which a module is changed: one small change of its syntax tree each."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A changed module.

    Attributes:
        line: line of the change, from 1.
        what: the expression before and after.
        tree: its syntax tree.
        number: place among the mutants of the module, from 0; the same change may be there twice in a line.
    """

    line: int
    what: str
    tree: ast.Module
    number: int = 0

    @property
    def name(self) -> str:
        """Text that no other mutant of the module has."""
        return f"{self.line} {self.number} {self.what}"


def _changed(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Each change of a node: the field that changes, and its new value."""
    match node:
        case ast.Compare(ops=[first, *rest]) if type(first) in _SWAPS:
            yield "ops", [_SWAPS[type(first)](), *rest]
            if rest and type(rest[-1]) in _SWAPS:
                yield "ops", [first, *rest[:-1], _SWAPS[type(rest[-1])]()]
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _SWAPS:
            yield "op", _SWAPS[type(op)]()
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield "op", ast.UAdd()
        case ast.Constant(value=bool() as value):
            yield "value", not value
        case ast.Constant(value=int() | float() as value):
            yield "value", value + 1
        case ast.Constant(value=str() as value) if value:
            yield "value", value + "XX"
        case ast.Constant(value=bytes() as value):
            yield "value", value + b"X"
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield "test", ast.UnaryOp(ast.Not(), test)


def _skipped(tree: ast.Module) -> set[int]:
    """Nodes that are not changed: docstrings, annotations, the texts of messages, and the 1 of ``reshape(-1)``."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                found.append(node)
            case ast.JoinedStr():
                found += [one for one in node.values if isinstance(one, ast.Constant)]
                found += [
                    one.format_spec for one in node.values if isinstance(one, ast.FormattedValue) and one.format_spec
                ]
            case ast.Raise(exc=ast.Call(args=arguments)):
                found += arguments
            case ast.Call(func=ast.Attribute(attr="reshape"), args=arguments):  # any negative size is the unknown one
                found += [
                    one.operand
                    for one in arguments
                    if isinstance(one, ast.UnaryOp) and isinstance(one.operand, ast.Constant)
                ]
            case ast.AnnAssign(annotation=annotation) | ast.arg(annotation=annotation) if annotation is not None:
                found.append(annotation)
            case ast.FunctionDef(returns=returns) if returns is not None:
                found.append(returns)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Import() | ast.ImportFrom():
                found.append(node)
    return {id(inner) for outer in found for inner in ast.walk(outer)}


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a module, in the order of its lines."""
    tree = ast.parse(source)
    skipped = _skipped(tree)
    number = -1
    nodes = [node for node in ast.walk(tree) if id(node) not in skipped and hasattr(node, "lineno")]
    for node in sorted(nodes, key=lambda one: (one.lineno, one.col_offset)):  # type: ignore[attr-defined]
        shown = node.test if isinstance(node, ast.If | ast.While) else node
        for name, value in _changed(node):
            before, kept = ast.unparse(shown), getattr(node, name)
            setattr(node, name, value)
            after = ast.unparse(node.test if isinstance(node, ast.If | ast.While) else node)
            changed = ast.fix_missing_locations(copy.deepcopy(tree))
            setattr(node, name, kept)
            if after != before:
                number += 1
                yield Mutant(node.lineno, f"{before} -> {after}", changed, number)  # type: ignore[attr-defined]
