"""Weights on their way into a runtime: found in the package, and for ONNX checked before the runtime sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import check_external_data, file_stamp, read_onnx_file

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import SessionRequest
    from inference_models.package.onnx_file import OnnxFile

WEIGHTS = "weights.onnx"


def guarded_graph(request: SessionRequest) -> OnnxFile:
    """The graph in `weights.onnx`, found to be one, with external data that may be opened.

    What was read of it earlier in this load is taken, unless a file changed since.

    Raises:
        CorruptedModelPackageError: the file is no ONNX graph, is damaged, or points outside its folder.
    """
    path, known = weights_file(request, WEIGHTS), request.graph
    if known is None or known.path != path or not path.exists() or known.stamp != file_stamp(path.stat()):
        return read_onnx_file(path)
    check_external_data(known)
    return known


def weights_file(request: SessionRequest, handle: str) -> Path:
    """The file of a package that a runtime opens.

    Raises:
        CorruptedModelPackageError: the package has none of that name.
    """
    if handle in request.files:
        return request.files[handle]
    raise CorruptedModelPackageError(
        f"the package has no {handle}.", needs=handle, found=", ".join(sorted(request.files)) or "no files"
    )
