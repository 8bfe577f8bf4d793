"""Frees input sizes that an exporter stored as fixed numbers, without a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import BYTES, WireReader
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference_models.arrays import Shape
    from inference_models.package.onnx_file import OnnxFile

_INPUT, _OUTPUT, _VALUE_INFO, _SHAPE = 11, 12, 13, 2
_WAY_TO_SHAPES = ({7}, {_INPUT, _OUTPUT, _VALUE_INFO}, {2}, {1}, {_SHAPE})
"""Field numbers from the model to the shape of a value: graph, value, its type, its tensor type, shape."""


def with_free_input_dims(file: OnnxFile, dims: Mapping[str, Shape]) -> bytes:
    """The bytes of the graph with the given input shapes; None in a shape leaves that side open.

    Shapes of outputs and of values in between are removed, since they followed from the old ones. Every other byte
    stays as it is.

    Raises:
        CorruptedModelPackageError: the graph has no input of that name and number of sides, or the file was removed.
    """
    check_free_input_dims(dims, {spec.name: spec.shape for spec in file.inputs}, where=file.path.name)
    try:
        data = file.path.read_bytes()
    except FileNotFoundError as exc:
        raise removed(file.path.name) from exc
    return _Rewriter(data, dims).rewritten(0, len(data))


def check_free_input_dims(dims: Mapping[str, Shape], inputs: Mapping[str, Sequence[object]], *, where: str) -> None:
    """Returns nothing when every shape in `dims` belongs to one of `inputs`.

    Raises:
        CorruptedModelPackageError: there is no input of that name and number of sides.
    """
    for name, shape in dims.items():
        if name not in inputs or len(inputs[name]) != len(shape):
            found = ", ".join(f"{known!r} with {len(sides)} sides" for known, sides in inputs.items()) or "no inputs"
            raise CorruptedModelPackageError(
                f"{where}: free_input_dims does not fit the graph.",
                needs=f"an input {name!r} with {len(shape)} sides",
                found=found,
            )


class _Rewriter(WireReader):
    def __init__(self, data: bytes, dims: Mapping[str, Shape]) -> None:
        super().__init__(data)
        self._bytes = data
        self._shapes = {name: _encoded_shape(shape) for name, shape in dims.items()}

    def rewritten(self, start: int, end: int, level: int = 0, shape: bytes = b"") -> bytes:
        """The message in [start, end), which lies `level` steps on the way to shapes, with `shape` for its shape."""
        parts, copied = [], start
        for number, kind, tag_start, content, stop in self.fields(start, end):
            if kind != BYTES or number not in _WAY_TO_SHAPES[level]:
                continue
            if number == _INPUT and level == 1:
                name = self.message("Value", content, stop).get("name", [""])[-1]
                if name not in self._shapes:
                    continue
                shape = self._shapes[name]
            elif level == 1:
                shape = b""
            parts.append(self._bytes[copied:tag_start])
            if level == len(_WAY_TO_SHAPES) - 1:
                parts.append(shape)
            else:
                parts.append(encode_message(number, self.rewritten(content, stop, level + 1, shape)))
            copied = stop
        return b"".join([*parts, self._bytes[copied:end]])


def encode_message(number: int, content: bytes) -> bytes:
    """A field with this number that holds `content`."""
    return _encode_varint(number << 3 | BYTES) + _encode_varint(len(content)) + content


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _encoded_shape(shape: Shape) -> bytes:
    sides = (b"" if side is None else _encode_varint(1 << 3) + _encode_varint(side) for side in shape)
    return encode_message(_SHAPE, b"".join(encode_message(1, side) for side in sides))
