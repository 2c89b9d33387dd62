"""The secrets that the operator gives to jobs where no Kubernetes has any: from SECRETS_PATH.

None comes from our own environment, no error shows a value, and who may ask is decided elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app.document.tree import child, compose
from app.document.typed import Text
from app.errors import Permanent

_KEYS = TypeAdapter(dict[str, Text])


class Secrets:
    """Secrets by name; read when they are asked for, so that a new value counts.

    `path` is a folder as Kubernetes mounts Secrets, one folder a secret with one file a key, or
    one YAML or JSON file of that form, or None.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def of(self, name: str) -> Mapping[str, str]:
        """The values of a secret by key.

        Raises:
            Permanent: there is no such secret, or it cannot be read; in job-executor's words.
        """
        failed = f'could not add env with name {name}, valueFrom secret: secrets "{name}"'
        if self._path is None:
            raise Permanent(f"{failed} not found: the operator has not set SECRETS_PATH")
        find = _in_file if self._path.is_file() else _in_folder
        try:
            found = find(self._path, name)
        except UnicodeDecodeError:
            raise Permanent(f"{failed} is no UTF-8 text in SECRETS_PATH {self._path}") from None
        except (OSError, ValueError) as error:
            raise Permanent(f"{failed} cannot be read from SECRETS_PATH: {error}") from None
        if found is None:
            raise Permanent(f"{failed} not found in SECRETS_PATH {self._path}")
        return found


def _in_folder(path: Path, name: str) -> dict[str, str] | None:
    for secret in path.iterdir():  # so that no name leads elsewhere
        if secret.name == name:
            # Kubernetes keeps the values below `..data`, and has a link to each beside it.
            files = [file for file in secret.iterdir() if not file.name.startswith("..")]
            return {file.name: file.read_bytes().decode() for file in files if file.is_file()}
    return None


def _in_file(path: Path, name: str) -> dict[str, str] | None:
    root, problems = compose(path.read_bytes().decode())
    for problem in problems:  # its text may show a value
        raise ValueError(f"line {problem.line}, column {problem.column} is not valid YAML")
    keys = None if root is None else child(root, name)
    try:
        return None if keys is None else _KEYS.validate_python(keys)
    except ValidationError:
        raise ValueError(f"{name} is no mapping of keys to texts") from None
