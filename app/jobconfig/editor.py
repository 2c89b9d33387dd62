"""The JSON Schema of a jobconfig, for editors that check and complete while people write.

A file is read by the models alone; no schema is ever consulted for that.
"""

from typing import Any

from app.jobconfig.schema import OURS, V1, V2, JobConfig

_TEXT = ["string", "number", "boolean", "null"]
"""What may stand where a text is wanted: its spelling is the text."""


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a jobconfig, with the keys of all formats; new for each caller."""
    document = loosened(JobConfig.model_json_schema())
    document["properties"]["apiVersion"]["enum"] = [V2, OURS, V1]
    document["$defs"]["Task"]["properties"]["cmd"]["type"] = [*_TEXT, "array"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def loosened(node: Any) -> Any:
    """The models' schema for what YAML gives: null is a default, and a scalar is a text."""
    if isinstance(node, list):
        return [loosened(item) for item in node]
    if not isinstance(node, dict):
        return node
    loose = {key: loosened(node[key]) for key in node if key not in ("title", "default")}
    if isinstance(kind := node.get("type"), str):
        loose["type"] = _TEXT if kind == "string" else sorted({kind, "null"})
    if "enum" in node:
        loose["enum"] = [*node["enum"], None]
    return loose
