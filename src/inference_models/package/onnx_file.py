"""What an ONNX file says about itself, read in one walk without a runtime: metadata, inputs, outputs, external data."""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from inference_models.arrays import TensorSpec
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.names import is_portable_handle
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Buffer: TypeAlias = "bytes | mmap.mmap"
Field: TypeAlias = tuple[int, int, int, int, int]
"""(number, wire type, start of the tag, start of the content, end of the content).

For a `VARINT` its value stands in place of the start of the content."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 4_000_000
"""Of one file. A graph of 100 000 nodes has about 1 million; this many take a few seconds."""
MAX_DEPTH = 100
"""Messages inside messages; protobuf's own readers stop at the same depth."""
_MAX_NUMBER = (1 << 29) - 1

_DTYPES = (
    "float32 uint8 int8 uint16 int16 int32 int64 str bool float16 float64 uint32 uint64 complex64 complex128 bfloat16"
)
DTYPES = dict(enumerate(_DTYPES.split(), start=1))
"""ONNX element types by number, as NumPy names."""

_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "main graph", 8: "opset", 14: "metadata", 20: "training", 25: "function"},
    "main graph": {1: "node", 5: "initializer", 11: "input", 12: "output", 15: "sparse initializer"},
    "sparse initializer": {1: "initializer", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message kind -> field number -> kind of the message in it, for every way to what is collected."""
_KNOWN_ENTRIES = {"location", "offset", "length", "checksum"}


class WireError(ValueError):
    """Bytes that are not a message; the position in its text counts from the start of the file."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at byte {position}")


@dataclass(frozen=True)
class ExternalTensor:
    """A tensor whose values lie in another file."""

    name: str
    position: int
    """Byte position of the tensor in the ONNX file."""
    entries: tuple[tuple[str, str], ...]
    """`location`, `offset`, `length`, `checksum` as the file says them, in its order."""


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """Facts about one graph, taken from its file once per load."""

    path: Path
    opset: int | None
    """Of the default domain; None when the file imports none."""
    metadata: Mapping[str, str]
    """What the exporter left, for example `names` and `task`."""
    inputs: tuple[TensorSpec, ...]
    """What a run must be given: graph inputs that have no stored value."""
    outputs: tuple[TensorSpec, ...]
    external: tuple[ExternalTensor, ...]
    """Tensors whose values lie in other files, wherever in the graph they are."""
    identities: Mapping[Path, tuple[int, ...]] = field(default_factory=dict, repr=False)
    """What the file system said of the file and of those it points to when they were checked."""

    @property
    def locations(self) -> list[str]:
        """Names of the files it points to, sorted."""
        return sorted({value for tensor in self.external for key, value in tensor.entries if key == "location"})

    def is_current(self) -> bool:
        """Whether the file, and those it points to, are still the ones that were checked."""
        try:
            return all(_identity(path.stat()) == known for path, known in self.identities.items())
        except OSError:
            return False

    def removed(self) -> CorruptedModelPackageError | None:
        """What to say when the file, or one it points to, is gone since it was checked; None while all are there."""
        names = [self.path.name, *self.locations]
        gone = next((name for name in names if not (self.path.parent / name).exists()), None)
        return None if gone is None else removed(gone)


def read_onnx_file(path: Path) -> OnnxFile:
    """The facts about the graph in a file, which points to nothing but regular files of its own folder.

    The weights in it are not read.

    Raises:
        CorruptedModelPackageError: the file is gone, cannot be read, is no ONNX graph (names the byte position), or
            points to what may not be opened (names the tensor).
    """
    try:
        with path.open("rb") as stream:
            if not stream.read(1):
                raise _refused(path.name, "an empty file")
            identity = _identity(os.fstat(stream.fileno()))
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                file = parse_onnx(data, path)
    except FileNotFoundError as exc:
        raise removed(path.name) from exc
    except OSError as exc:
        raise _refused(path.name, exc.strerror or type(exc).__name__) from exc
    return replace(file, identities={path: identity, **check_external_data(file)})


def parse_onnx(data: Buffer, path: Path) -> OnnxFile:
    """The facts about the graph in `data`, the content of `path`; what it points to is not looked at.

    Raises:
        CorruptedModelPackageError: it is no ONNX graph; names the byte position.
    """
    walk = _Walk(data)
    try:
        walk.visit("model", 0, len(data), 1)
    except WireError as exc:
        raise _refused(path.name, str(exc)) from exc
    if not walk.has_graph:
        raise _refused(path.name, f"no graph before the end at byte {len(data)}")
    return OnnxFile(
        path=path,
        opset=walk.opset,
        metadata=walk.metadata,
        inputs=tuple(spec for spec in walk.specs["input"] if spec.name not in walk.stored),
        outputs=tuple(walk.specs["output"]),
        external=tuple(walk.external),
    )


class WireReader:
    """Reads messages in the protobuf wire format. Counts fields, so that hostile files end in bounded time."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self._left = MAX_FIELDS

    def fields(self, position: int, end: int) -> Iterator[Field]:
        """The fields of the message in [position, end), in the order of the file.

        Raises:
            WireError: these bytes are not a message.
        """
        data = self.data
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise WireError(f"more than {MAX_FIELDS} fields", position)
            tag_start = position
            # Numbers below 128, nearly all of them, are read here: a call for each would take half of the time.
            tag, position = data[position], position + 1
            if tag > 0x7F:
                tag, position = self._varint(tag_start, end)
            number, kind = tag >> 3, tag & 7
            if not 1 <= number <= _MAX_NUMBER:
                raise WireError("an impossible field number", tag_start)
            if kind in (VARINT, BYTES):
                start, value = position, data[position] if position < end else 0x80
                position += 1
                if value > 0x7F:
                    value, position = self._varint(start, end)
            elif kind in (FIXED64, FIXED32):
                start, value = position, 8 if kind == FIXED64 else 4
            else:
                raise WireError(f"a field of unknown kind {kind}", position)
            if kind == VARINT:
                yield number, kind, tag_start, value, position
                continue
            if value > end - position:
                raise WireError(f"a field of {value} bytes where {end - position} are left", start)
            yield number, kind, tag_start, position, position + value
            position += value

    def messages(self, position: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
        """Start and end of the content of every field `wanted` of the message in [position, end)."""
        for number, kind, _, start, stop in self.fields(position, end):
            if number == wanted and kind == BYTES:
                yield start, stop

    def text(self, start: int, end: int) -> str:
        """The string in [start, end); bytes that are not UTF-8 are shown as escapes."""
        return self.data[start:end].decode("utf-8", "backslashreplace")

    def _varint(self, begin: int, end: int) -> tuple[int, int]:
        """The unsigned number at `begin`, and the position behind it."""
        value = 0
        for index, position in enumerate(range(begin, min(end, begin + 10))):
            byte = self.data[position]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1
        if begin + 10 <= end:
            raise WireError("a number of more than 64 bits", begin)
        raise WireError("the end of the data inside a number", begin)


class _Walk(WireReader):
    """One way through all messages of a file, collecting facts."""

    def __init__(self, data: Buffer) -> None:
        super().__init__(data)
        self.has_graph = False
        self.opset: int | None = None
        self.metadata: dict[str, str] = {}
        self.specs: dict[str, list[TensorSpec]] = {"input": [], "output": []}
        self.stored: set[str] = set()
        self.external: list[ExternalTensor] = []

    def visit(self, message: str, start: int, end: int, depth: int) -> None:
        """Collect what a message of one kind and those in it say.

        Raises:
            WireError: a message is damaged, or nested too deeply.
        """
        if depth > MAX_DEPTH:
            raise WireError(f"more than {MAX_DEPTH} messages inside each other", start)
        if message == "node" and self.data.find(b"location", start, end) < 0:
            return  # nodes are most of a graph, and no tensor in this one says where its values are
        children = _CHILDREN.get(message)
        if children is not None:
            self.has_graph = self.has_graph or message == "main graph"
            for number, kind, _, content, stop in self.fields(start, end):
                if kind == BYTES and number in children:
                    self.visit(children[number], content, stop, depth + 1)
        elif message in ("tensor", "initializer"):
            self._tensor(start, end, is_stored=message == "initializer")
        elif message in self.specs:
            self.specs[message].append(self._spec(start, end))
        elif message == "metadata":
            self.metadata.update([self._pair(start, end)])
        else:
            self._opset(start, end)

    def _tensor(self, start: int, end: int, *, is_stored: bool) -> None:
        name, entries, elsewhere = "", [], False
        for number, kind, _, value, stop in self.fields(start, end):
            if number == 8 and kind == BYTES:
                name = self.text(value, stop)
            elif number == 13 and kind == BYTES:
                entries.append(self._pair(value, stop))
            elif number == 14 and kind == VARINT:
                elsewhere = elsewhere or value != 0
        if is_stored:
            self.stored.add(name)
        # Either sign alone is enough: readers differ in which one they follow.
        if elsewhere or entries:
            self.external.append(ExternalTensor(name, start, tuple(entries)))

    def _pair(self, start: int, end: int) -> tuple[str, str]:
        pair = {1: "", 2: ""}
        for number, kind, _, value, stop in self.fields(start, end):
            if kind == BYTES and number in pair:
                pair[number] = self.text(value, stop)
        return pair[1], pair[2]

    def _opset(self, start: int, end: int) -> None:
        domain, version = "", 0
        for number, kind, _, value, stop in self.fields(start, end):
            if (number, kind) == (1, BYTES):
                domain = self.text(value, stop)
            elif (number, kind) == (2, VARINT):
                version = _signed(value)
        if domain in ("", "ai.onnx"):
            self.opset = version if self.opset is None else max(self.opset, version)

    def _spec(self, start: int, end: int) -> TensorSpec:
        name, dtype = "", "unknown"
        shape: list[int | None] = []
        for number, kind, _, value, stop in self.fields(start, end):
            if kind == BYTES and number == 1:
                name = self.text(value, stop)
            elif kind == BYTES and number == 2:
                for tensor in self.messages(value, stop, 1):
                    dtype, shape = self._tensor_type(*tensor)
        return TensorSpec(name, tuple(shape), dtype)

    def _tensor_type(self, start: int, end: int) -> tuple[str, list[int | None]]:
        dtype, shape = "unknown", []
        for number, kind, _, value, stop in self.fields(start, end):
            if (number, kind) == (1, VARINT):
                dtype = DTYPES.get(value, "unknown")
            elif (number, kind) == (2, BYTES):
                shape += [self._side(*side) for side in self.messages(value, stop, 1)]
        return dtype, shape

    def _side(self, start: int, end: int) -> int | None:
        """None where the file names no number; exporters write 0 or -1 for a side they do not know."""
        size = 0
        for number, kind, _, value, _ in self.fields(start, end):
            if (number, kind) in ((1, VARINT), (2, BYTES)):
                size = _signed(value) if number == 1 else 0
        return size if size > 0 else None


def check_external_data(model: OnnxFile) -> dict[Path, tuple[int, ...]]:
    """The identities of the files it points to: nothing but regular files of its folder, and no byte beyond their end.

    Raises:
        CorruptedModelPackageError: names the graph, the tensor and what it points to.
    """
    checked: dict[Path, os.stat_result] = {}
    for tensor in model.external:
        entries = dict(tensor.entries)
        if len(entries) != len(tensor.entries) or not set(entries) <= _KNOWN_ENTRIES:
            keys = ", ".join(ascii(key[:20]) for key, _ in tensor.entries)
            _refuse(model, tensor, "location, offset, length and checksum, each at most once", keys)
        if "location" not in entries:
            _refuse(model, tensor, "a location", "none")
        location = entries["location"]
        path = model.path.parent / location
        if path not in checked:
            checked[path] = _regular_file(model, tensor, location)
        size = checked[path].st_size
        numbers = [entries.get(key, "0") for key in ("offset", "length")]
        for text in numbers:
            if not (text.isascii() and text.isdecimal() and len(text) <= 19):
                _refuse(model, tensor, "whole numbers for offset and length", ascii(text[:40]))
        if sum(map(int, numbers)) > size:
            found = f"{int(numbers[0])} + {int(numbers[1])}"
            _refuse(model, tensor, f"bytes within the {size} of {location!r}", found)
    return {path: _identity(status) for path, status in checked.items()}


def _regular_file(model: OnnxFile, tensor: ExternalTensor, location: str) -> os.stat_result:
    if not is_portable_handle(location):
        _refuse(model, tensor, "a plain name inside the package folder", ascii(location[:80]))
    path, parts = model.path.parent, location.split("/")
    for part in parts:
        path /= part
        try:
            status = os.lstat(path)
        except OSError as exc:
            _refuse(model, tensor, f"the file {location!r}", exc.strerror or type(exc).__name__)
        if stat.S_ISLNK(status.st_mode):
            _refuse(model, tensor, "regular files", f"{location!r} is a link")
    if not stat.S_ISREG(status.st_mode):
        _refuse(model, tensor, "regular files", f"{location!r} is none")
    if status.st_nlink != 1:
        _refuse(model, tensor, "a file with one name", f"{location!r} has {status.st_nlink} (hard links)")
    return status


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _refuse(model: OnnxFile, tensor: ExternalTensor, needs: str, found: str) -> NoReturn:
    raise CorruptedModelPackageError(
        f"{model.path.name}: tensor {tensor.name[:80]!a} at byte {tensor.position} has its values in a file that is "
        "not opened.",
        needs=needs,
        found=found,
    )


def _refused(name: str, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{name} is not an ONNX graph.",
        needs="a complete ONNX file",
        found=found,
        fix="export or fetch the file again",
    )
