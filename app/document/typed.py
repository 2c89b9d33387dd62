"""A tree as pydantic models: yaml.v2's conversions, strict keys, problems with their place.

The models themselves, and what they mean, stand beside the file that they describe.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import getitem
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from app.document.scalars import Mark, Scalar, shown
from app.document.tree import Node, Problem, compose
from app.errors import Permanent

Model = TypeVar("Model", bound="Part")
Made = TypeVar("Made")
Parsed = tuple[Made | None, list[Problem]]
"""What can be made of a file, such as its model, if anything; and all that is wrong with it."""

# What pydantic's error types, up to their first underscore, ask for.
_WANTED = {
    "string": "a text",
    "bool": "true or false",
    "int": "a whole number without quotes",
    "greater": "{ge} or more",
    "less": "{le} or less",
    "literal": "one of {expected}",
    "tuple": "a list such as [a, b]",
    "dict": "a mapping",
    "model": "a mapping",
}
_LIMIT_32, _LIMIT_64 = 1 << 31, 1 << 63


def _scalar(convert: Callable[[Scalar], Any]) -> BeforeValidator:
    """The conversion of a scalar; whatever else stands there is left for pydantic to refuse."""
    return BeforeValidator(lambda node: convert(node) if isinstance(node, Scalar) else node)


def _whole(scalar: Scalar) -> Any:
    value = scalar.value
    return int(value) if isinstance(value, float) and abs(value) < _LIMIT_64 else value


AS_WHOLE = _scalar(_whole)
"""Reads the scalar of a number with a range of its own, as `Int32` does."""

AS_TEXT = _scalar(lambda scalar: scalar.as_text)
"""Reads the scalar of a Literal, as in `Annotated[Literal["a", "b"], AS_TEXT]`."""

Text = Annotated[str, AS_TEXT]
Flag = Annotated[bool, Field(strict=True), _scalar(lambda scalar: scalar.value)]
Int32 = Annotated[int, Field(strict=True, ge=-_LIMIT_32, le=_LIMIT_32 - 1), AS_WHOLE]
Int64 = Annotated[int, Field(strict=True, ge=-_LIMIT_64, le=_LIMIT_64 - 1), AS_WHOLE]


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [*map(_plain, node)] if isinstance(node, list) else getattr(node, "value", node)


Anything = Annotated[Any, BeforeValidator(_plain)]
"""Whatever stands there, each scalar as what it means."""


class FileError(Permanent):
    """The file cannot be used; `problems` are its faults, <name>:<line>:<column>: <what>."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.found = sorted(set(problems))
        self.problems = tuple(f"{name}:{one.line}:{one.column}: {one.text}" for one in self.found)
        super().__init__("; ".join(self.problems))


class Part(BaseModel):
    """A mapping of a file: its keys are the fields in camel case; null is the default."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, node: Any) -> Any:
        if not isinstance(node, dict):
            return {} if _is_null(node) else node
        known = {field.alias for field in cls.model_fields.values()}
        return {key: node[key] for key in node if key not in known or not _is_null(node[key])}


def _is_null(node: Any) -> bool:
    """Whether there stands null, or nothing."""
    return isinstance(node, Scalar) and node.value is None


def loaded(text: str, name: str, parsed: Callable[[Node], Parsed[Made]]) -> Made:
    """What a reader of trees makes of a text; `name` stands in front of each problem.

    Raises:
        FileError: with all problems of the file.
    """
    tree, problems = compose(text)
    made, wrong = (None, []) if tree is None else parsed(tree)
    if made is None or problems or wrong:
        raise FileError(name, [*problems, *wrong])
    return made


def validated(model: type[Model], tree: Node, *, strict: bool = True) -> Parsed[Model]:
    """The tree as this model, or what is wrong with it; unknown keys are wrong if it is strict.

    A validator of the model tells a fault and its remedy by the text of its ValueError.
    """
    try:
        return model.model_validate(tree, extra="forbid" if strict else "ignore"), []
    except ValidationError as error:
        return None, [_problem(model, tree, each) for each in error.errors(include_input=False)]


def _problem(model: type[Part], tree: Any, detail: ErrorDetails) -> Problem:
    """What pydantic found, with the place of the value, or of a key that does not belong there."""
    place = detail["loc"]
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{shown(key)}" for key in place)
    where = f"{path.removeprefix('.')}: " if path else ""
    if detail["type"] == "extra_forbidden":
        mark: Mark = reduce(getitem, place[:-1], tree).marks[place[-1]]
        return Problem(*mark, f"{where}unknown key{near(str(place[-1]), homes(model))}")
    node: Node = reduce(getitem, place, tree)
    return Problem(*node.mark, where + _said(detail, node))


def _said(detail: ErrorDetails, node: Node) -> str:
    kind, context = detail["type"].partition("_")[0], detail.get("ctx", {})
    if kind == "value":
        return str(context["error"])
    # The words of a Literal; pydantic tells them as 'a', 'b' or 'c'.
    words = dict.fromkeys(re.findall("'([^']*)'", context.get("expected", "")), "")
    meant = near(node.text, words) if isinstance(node, Scalar) else ""
    return f"must be {_WANTED[kind].format(**context)}, not {node}{meant}"


def near(written: str, known: Mapping[str, str]) -> str:
    """The nearest of the known words, as a question; what they are said to be keys of, is told."""
    found = difflib.get_close_matches(written, known, 1, cutoff=0.75)
    home = f" (a key of {known[found[0]]})" if found and known[found[0]] else ""
    return f", did you mean `{found[0]}`{home}?" if found else ""


def homes(root: type[Part]) -> dict[str, str]:
    """Every key of this model and its parts, with the names of the parts that have it."""
    found: dict[str, str] = {}
    for part in Part.__subclasses__():
        if part.__module__ == root.__module__:
            for name, field in part.model_fields.items():
                key = field.alias or name
                found[key] = f"{found[key]}, {part.__name__}" if key in found else part.__name__
    return found
