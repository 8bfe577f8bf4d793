"""What a provider said about a model, as plain JSON values and back without loss."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from inference_models.entities import ModelMetadata


def metadata_to_json(model: ModelMetadata) -> dict[str, Any]:
    """`model` as dictionaries, lists, texts and numbers; what is None is left out."""
    return cast("dict[str, Any]", _adapter().dump_python(model, mode="json", exclude_none=True))


def metadata_from_json(data: object) -> ModelMetadata:
    """The model that `metadata_to_json` was given.

    Raises:
        ValueError: `data` is not what that function writes.
    """
    try:
        return _adapter().validate_python(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from exc


@cache
def _adapter() -> TypeAdapter[ModelMetadata]:
    """Built when it is first needed, which takes some milliseconds."""
    return TypeAdapter(ModelMetadata)
