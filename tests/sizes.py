"""How large app/ is, against the house's budgets: `python -m tests.sizes` prints it, and fails."""

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

BUDGETS = {"app": 9_660, "file": 300, "median": 8, "p95": 30, "longest": 50}
_QUIET = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def docstring_lines(tree: ast.AST) -> set[int]:
    """The lines of every text that stands as a statement of its own."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def code_lines(text: str) -> set[int]:
    """The lines that hold code: not blank, no comment, no docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    held = {
        line
        for token in tokens
        if token.type not in _QUIET and token.string.strip()
        for line in range(token.start[0], token.end[0] + 1)
    }
    return held - docstring_lines(ast.parse(text))


def functions(text: str) -> Iterator[tuple[str, int]]:
    """(name, code lines) of every function."""
    held = code_lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            yield node.name, sum(line in held for line in span)


def measure(root: Path) -> dict[str, tuple[int, str]]:
    """Each budget's figure, and where it comes from."""
    texts = {path: path.read_text() for path in sorted(root.rglob("*.py"))}
    lengths = sorted(
        (lines, f"{path}:{name}") for path, text in texts.items() for name, lines in functions(text)
    )
    largest = max(texts, key=lambda path: len(texts[path].splitlines()))
    only = [lines for lines, _ in lengths]
    return {
        "app": (sum(len(code_lines(text)) for text in texts.values()), f"{len(texts)} files"),
        "file": (len(texts[largest].splitlines()), str(largest)),
        "median": (round(statistics.median(only)), f"{len(only)} functions"),
        "p95": (only[int(len(only) * 0.95)], "of code lines in a function"),
        "longest": lengths[-1],
    }


def main() -> int:
    """Print the figures; 1 when a budget is broken."""
    measured = measure(Path("app"))
    for name, (figure, where) in measured.items():
        verdict = "" if figure <= BUDGETS[name] else "  OVER"
        print(f"sizes: {name:8} {figure:5} of {BUDGETS[name]:5}  {where}{verdict}")
    return int(any(figure > BUDGETS[name] for name, (figure, _) in measured.items()))


if __name__ == "__main__":
    sys.exit(main())
