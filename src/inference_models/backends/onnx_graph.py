"""An ONNX file on its way into a runtime: checked before the runtime sees it, and explained when it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.external_data import check_external_data
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.onnx_shapes import with_free_input_dims
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference_models.arrays import Shape
    from inference_models.backends.session import SessionRequest
    from inference_models.package.onnx_file import OnnxFile

WEIGHTS = "weights.onnx"


@dataclass(frozen=True)
class OnnxGraph:
    """A file that holds one ONNX graph and points to nothing but files of its own folder."""

    path: Path
    file: OnnxFile

    def with_free_input_dims(self, dims: Mapping[str, Shape]) -> bytes:
        """The bytes of the graph with other input shapes.

        Raises:
            CorruptedModelPackageError: the graph has no such input, or the file was removed.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError as exc:
            raise removed(self.path.name) from exc
        return with_free_input_dims(data, dims, where=self.path.name)

    def removed(self) -> CorruptedModelPackageError | None:
        """What to say when the file, or one it points to, is gone since it was checked; None while all are there."""
        locations = {value for tensor in self.file.external for key, value in tensor.entries if key == "location"}
        names = [self.path.name, *sorted(locations)]
        gone = next((name for name in names if not (self.path.parent / name).exists()), None)
        return None if gone is None else removed(gone)


def guarded_graph(request: SessionRequest) -> OnnxGraph:
    """The graph in `weights.onnx`, found to be one, with external data that may be opened.

    Raises:
        CorruptedModelPackageError: the file is no ONNX graph, is damaged, or points outside its folder.
    """
    path = weights_file(request, WEIGHTS)
    file = read_onnx_file(path)
    check_external_data(file, path.parent)
    return OnnxGraph(path, file)


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
