"""The shipyard file: which sequences a stage has, and which follow one. Reads no disk."""

import json
from typing import Annotated, Any

import yaml
from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from app.plane.validation import Refused, first

_VERSION = r"^spec\.keptn\.sh/v?(0\.([2-9]|[1-9]\d+)|[1-9]\d*\.\d+)(\.\d+)?$"


def _as_text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool | int | float) else value or ""


Text = Annotated[str, BeforeValidator(_as_text)]
_null_is_empty = BeforeValidator(lambda value: [] if value is None else value)


class _Part(BaseModel):
    """A part of the file; keys that the controller does not know are ignored, as it does."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Trigger(_Part):
    """One entry of `triggeredOn`."""

    event: Text = ""
    selector: dict[str, dict[str, Text] | None] | None = None

    def fires(self, result: str, last_task: str) -> bool:
        """Whether it selects a sequence with this result; without `match`, pass and warning do."""
        match = (self.selector or {}).get("match")
        if match is None:
            return result in ("pass", "warning")
        return result in (match.get("result", ""), match.get(f"{last_task}.result", ""))


class Task(_Part):
    """One task; `triggered_after` is a Go duration."""

    name: Text = Field(min_length=1)
    triggered_after: Text = ""
    properties: Any = None


class Sequence(_Part):
    """A named list of tasks."""

    name: Text = ""
    triggered_on: Annotated[list[Trigger], _null_is_empty] = []
    tasks: Annotated[list[Task], _null_is_empty] = []


class Stage(_Part):
    """A stage with its sequences."""

    name: Text = Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$")
    sequences: Annotated[list[Sequence], _null_is_empty] = []


class Shipyard(_Part):
    """The whole file."""

    api_version: Text = Field(pattern=_VERSION)
    name: Text = Field("", validation_alias=AliasPath("metadata", "name"))
    stages: list[Stage] = Field(min_length=1, validation_alias=AliasPath("spec", "stages"))

    def sequence(self, stage: str, name: str) -> Sequence:
        """The sequence of a stage; `evaluation` exists even where the file does not name it.

        Raises:
            Refused: there is none, or it has no tasks.
        """
        of_stage = next((each.sequences for each in self.stages if each.name == stage), None)
        if of_stage is None:
            raise Refused(404, f"no stage with name {stage}")
        built_in = Sequence(name=name, tasks=[Task(name=name)]) if name == "evaluation" else None
        sequence = next((each for each in of_stage if each.name == name), built_in)
        if sequence is None:
            raise Refused(404, f"no task sequence with name {name} found in stage {stage}")
        if not sequence.tasks:
            raise Refused(400, f"task sequence {name} does not contain any tasks")
        return sequence

    def names(self) -> list[tuple[str, str]]:
        """Every (stage, sequence), in file order."""
        return [(stage.name, one.name) for stage in self.stages for one in stage.sequences]

    def follow_ups(self, finished: str, result: str, last_task: str) -> list[tuple[str, str]]:
        """Every (stage, sequence) that fires on `<stage>.<sequence>.finished`, in file order."""
        return [
            (stage.name, sequence.name)
            for stage in self.stages
            for sequence in stage.sequences
            for trigger in sequence.triggered_on
            if trigger.event == finished and trigger.fires(result, last_task)
        ]


def parse(text: str, name: str = "shipyard.yaml") -> Shipyard:
    """The shipyard in a file's text; `name` stands in front of what is wrong.

    Raises:
        Refused: with one line that says what is wrong.
    """
    try:
        # Through JSON, so that all that follows has JSON's values and text keys; dates are texts.
        document = yaml.load(text, yaml.CSafeLoader)
        return Shipyard.model_validate_json(json.dumps(document, default=str, allow_nan=False))
    except ValidationError as error:
        raise Refused(400, f"{name}: {first(error.errors())}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise Refused(400, f"{name}: {' '.join(str(error).split())}") from None
