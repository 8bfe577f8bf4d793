"""Arrays of predictions as objects of Supervision, for its annotators, trackers, zones and metrics."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import supervision

    from inference_models.arrays import NumpyArray


def boxes_to_supervision(
    values: Mapping[str, NumpyArray | None], *, names: list[str] | None, corners: NumpyArray | None = None
) -> supervision.Detections:
    """Boxes, classes, confidences, the name of each class, and (n, 4, 2) corners, by the names of Supervision.

    Raises:
        MissingDependencyError: Supervision is not installed.
    """
    data = {**_named(names), **({} if corners is None else {"xyxyxyxy": corners})}
    return _import_supervision().Detections(**values, data=data)


def key_points_to_supervision(
    values: Mapping[str, NumpyArray | None], *, names: list[str] | None, covariance: NumpyArray | None
) -> supervision.KeyPoints:
    """Points, classes and confidences; a point is visible when its confidence is above 0.

    Raises:
        MissingDependencyError: Supervision 0.29 or newer is not installed.
    """
    module = _import_supervision()
    if "keypoint_confidence" not in {item.name for item in fields(module.KeyPoints)}:
        raise MissingDependencyError(
            "key points cannot be turned into objects of Supervision.",
            needs="supervision >= 0.29",
            found=f"supervision {module.__version__}",
            fix='pip install "supervision>=0.29"',
        )
    data = {**({} if covariance is None else {"covariance": covariance}), **_named(names)}
    return module.KeyPoints(**values, data=data or None)


def _named(names: list[str] | None) -> dict[str, NumpyArray]:
    return {} if names is None else {"class_name": np.array(names, dtype=np.str_)}


def _import_supervision() -> Any:  # a module
    try:
        import supervision  # noqa: PLC0415
    except Exception as exc:
        missing = isinstance(exc, ModuleNotFoundError) and exc.name == "supervision"
        raise MissingDependencyError(
            "predictions cannot be turned into objects of Supervision.",
            needs="supervision",
            found="not installed" if missing else f"installed, but its import ends in {type(exc).__name__}: {exc}",
            fix='pip install "supervision>=0.29"' if missing else "mend what that names, or install supervision anew",
        ) from exc
    return supervision
