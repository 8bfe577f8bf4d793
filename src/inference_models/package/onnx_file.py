"""Reads an ONNX file once, without a runtime: metadata, inputs, outputs, operator set, external data."""

from __future__ import annotations

import mmap
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from inference_models.arrays import TensorSpec
from inference_models.config import cache_directory
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError
from inference_models.files.names import is_portable_handle, may_lead
from inference_models.package.text_files import removed
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Buffer: TypeAlias = "bytes | bytearray | mmap.mmap"
Message: TypeAlias = "dict[str, list[Any]]"
"""The fields of a message that `MESSAGES` names, each with all its values in the order of the file."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 1_000_000
"""Of one file. A graph of 100 000 weights has about 500 000; this many take about a second."""
MAX_DEPTH = 100
"""Messages inside messages; protobuf's own readers stop at the same depth."""
_MAX_NUMBER = (1 << 29) - 1
_ENTRIES = {"location", "offset", "length", "checksum"}
"""What a tensor may say about its values in another file."""
_DTYPES = (
    "float32 uint8 int8 uint16 int16 int32 int64 str bool float16 float64 uint32 uint64 complex64 complex128 bfloat16"
)
DTYPES = dict(enumerate(_DTYPES.split(), start=1))
"""ONNX element types by number, as NumPy names."""

MESSAGES: Mapping[str, Mapping[int, tuple[str, str]]] = {
    "Model": {
        7: ("graph", "Graph"),
        8: ("opset_import", "OperatorSet"),
        14: ("metadata_props", "Entry"),
        20: ("training_info", "Training"),
        25: ("functions", "Function"),
    },
    "Graph": {
        1: ("node", "Node"),
        5: ("initializer", "Tensor"),
        11: ("input", "Value"),
        12: ("output", "Value"),
        15: ("sparse_initializer", "SparseTensor"),
    },
    "Training": {1: ("initialization", "Graph"), 2: ("algorithm", "Graph")},
    "Function": {7: ("node", "Node"), 11: ("attribute_proto", "Attribute")},
    "Node": {5: ("attribute", "Attribute")},
    "Attribute": {
        5: ("t", "Tensor"),
        6: ("g", "Graph"),
        10: ("tensors", "Tensor"),
        11: ("graphs", "Graph"),
        22: ("sparse_tensor", "SparseTensor"),
        23: ("sparse_tensors", "SparseTensor"),
    },
    "Tensor": {8: ("name", "text"), 13: ("external_data", "Entry"), 14: ("data_location", "number")},
    "SparseTensor": {1: ("values", "Tensor"), 2: ("indices", "Tensor")},
    "Value": {1: ("name", "text"), 2: ("type", "Type")},
    "Type": {1: ("tensor_type", "TensorType")},
    "TensorType": {1: ("elem_type", "number"), 2: ("shape", "Shape")},
    "Shape": {1: ("dim", "Dimension")},
    "Dimension": {1: ("dim_value", "number"), 2: ("dim_param", "text")},
    "OperatorSet": {1: ("domain", "text"), 2: ("version", "number")},
    "Entry": {1: ("key", "text"), 2: ("value", "text")},
}
"""As in `onnx.proto`: message -> field number -> name and type, for what is collected and for every way to a tensor."""


class WireError(ValueError):
    """Bytes that are not a message; the position in its text counts from the start of the file."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at byte {position}")


class ExternalTensor(Record, frozen=True):
    """A tensor whose values lie in another file."""

    name: str
    position: int
    """Byte position of the tensor in the ONNX file."""
    entries: tuple[tuple[str, str], ...]
    """`location`, `offset`, `length`, `checksum` as the file says them, in its order."""


class OnnxFile(Record, frozen=True, kw_only=True):
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
    stamp: tuple[int, ...] = ()
    """Of the file when it was read, as `file_stamp` gives it."""

    @property
    def locations(self) -> list[str]:
        """Names of the files it points to, sorted."""
        return sorted({value for tensor in self.external for key, value in tensor.entries if key == "location"})

    @property
    def files(self) -> list[Path]:
        """The file and those it points to."""
        return [self.path, *(self.path.parent / name for name in (self.locations if self.external else ()))]

    @contextmanager
    def without_links(self) -> Iterator[Path]:
        """While it lasts, the path of the file in a folder where no file it points to is a link.

        Runtimes refuse links that lead out of the folder, which is what a cache of the Hub is made of. Where there are
        some, that is a temporary folder of other names for the same files, or of copies on another disk.
        """
        if all(path.resolve().parent == path.parent.resolve() for path in self.files[1:]):
            yield self.path
            return
        with TemporaryDirectory(
            prefix="inference-models-", ignore_cleanup_errors=True, dir=self._same_disk()
        ) as folder:
            for name, path in zip((self.path.name, *self.locations), self.files, strict=True):
                _lay(path.resolve(), Path(folder, name))
            yield Path(folder, self.path.name)

    def _same_disk(self) -> Path | None:
        """The cache where only that is on the disk of the files, which then need no copy."""
        disk, home = self.path.stat().st_dev, cache_directory()
        beside = home.is_dir() and os.access(home, os.W_OK) and home.stat().st_dev == disk
        return home if beside and Path(gettempdir()).stat().st_dev != disk else None


def _lay(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.hardlink_to(path)
    except OSError:
        try:
            shutil.copyfile(path, place)
        except OSError as exc:
            raise EnvironmentConfigurationError(
                f"'{place.name}' is a link, which runtimes do not follow, and it cannot be copied.",
                needs=f"{path.stat().st_size} bytes in {place.parent}",
                found=exc.strerror or type(exc).__name__,
                fix="copy the folder with its links followed (cp -rL), and load the copy",
            ) from exc


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
                raise no_graph(path.name, "an empty file")
            stamp = file_stamp(os.fstat(stream.fileno()))
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                file = parse_onnx(data, path)
    except FileNotFoundError as exc:
        raise removed(path.name) from exc
    except OSError as exc:
        raise no_graph(path.name, exc.strerror or type(exc).__name__) from exc
    if file.external:
        check_external_data(file)
    return replace(file, stamp=stamp)


def file_stamp(status: os.stat_result) -> tuple[int, ...]:
    """What changes when another file takes the place of one."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def parse_onnx(data: Buffer, path: Path) -> OnnxFile:
    """The facts about the graph in `data`, the content of `path`; what it points to is not looked at.

    Raises:
        CorruptedModelPackageError: it is no ONNX graph; names the byte position.
    """
    reader = WireReader(data)
    try:
        model = reader.message("Model", 0, len(data))
    except WireError as exc:
        raise no_graph(path.name, str(exc)) from exc
    # Readers merge repeated fields: what stands in a second graph is loaded as well.
    graphs: list[Message] = model.get("graph", [])
    if not graphs:
        raise no_graph(path.name, f"no graph before the end at byte {len(data)}")
    stored = {
        name
        for graph in graphs
        for holder in (graph, *graph.get("sparse_initializer", ()))
        for tensor in (*holder.get("initializer", ()), *holder.get("values", ()))
        for name in tensor.get("name", ())
    }
    opsets = [
        (item.get("version") or [0])[-1]
        for item in model.get("opset_import", ())
        if (item.get("domain") or [""])[-1] in {"", "ai.onnx"}
    ]
    return OnnxFile(
        path=path,
        opset=max(opsets, default=None),
        metadata=dict(map(_pair, model.get("metadata_props", ()))),
        inputs=tuple(spec for graph in graphs for spec in _specs(graph, "input") if spec.name not in stored),
        outputs=tuple(spec for graph in graphs for spec in _specs(graph, "output")),
        external=tuple(reader.external),
    )


class WireReader:
    """Reads messages in the protobuf wire format. Counts fields, so that hostile files end in bounded time."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.external: list[ExternalTensor] = []
        """Those in the messages that were read."""
        self._left = MAX_FIELDS

    def message(self, kind: str, start: int, end: int, depth: int = 1) -> Message:
        """What the message of `kind` in [start, end) holds, of what `MESSAGES` names.

        Raises:
            WireError: it is damaged, or messages are nested too deeply.
        """
        if depth > MAX_DEPTH:
            raise WireError(f"more than {MAX_DEPTH} messages inside each other", start)
        known = MESSAGES[kind]
        found: Message = {}
        for number, wire, _, value, stop in self.fields(start, end):
            name, type_ = known.get(number, ("", ""))
            if not name or (wire != VARINT if type_ == "number" else wire != BYTES):
                continue
            if type_ == "number":
                item: object = value - (1 << 64) if value >> 63 else value
            elif type_ == "text":
                item = self.data[value:stop].decode("utf-8", "backslashreplace")
            elif type_ == "Node" and self.data.find(b"location", value, stop) < 0:
                continue  # nodes are most of a graph, and no tensor in this one says where its values are
            else:
                item = self.message(type_, value, stop, depth + 1)
            found.setdefault(name, []).append(item)
        # Either sign alone is enough: readers differ in which one they follow.
        if kind == "Tensor" and ("external_data" in found or any(found.get("data_location", ()))):
            entries = tuple(map(_pair, found.get("external_data", ())))
            self.external.append(ExternalTensor((found.get("name") or [""])[-1], start, entries))
        return found

    def fields(self, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
        """(number, wire type, start of the tag, start of the content, its end) of every field in [position, end).

        For a `VARINT` its value stands in place of the start of the content.

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


def _specs(graph: Message, name: str) -> Iterator[TensorSpec]:
    for value in graph.get(name, ()):
        kinds = [kind for type_ in value.get("type", ()) for kind in type_.get("tensor_type", ())]
        dtype = DTYPES.get((kinds[-1].get("elem_type") or [0])[-1], "unknown") if kinds else "unknown"
        sides = [side for kind in kinds for shape in kind.get("shape", ()) for side in shape.get("dim", ())]
        # None where the file names no number; exporters write 0 or -1 for a side they do not know.
        known = [None if "dim_param" in side else max((side.get("dim_value") or [0])[-1], 0) or None for side in sides]
        yield TensorSpec((value.get("name") or [""])[-1], tuple(known), dtype)


def _pair(entry: Message) -> tuple[str, str]:
    return (entry.get("key") or [""])[-1], (entry.get("value") or [""])[-1]


def check_external_data(model: OnnxFile) -> None:
    """Returns nothing when it points to nothing but regular files of its folder, and to no byte beyond their end.

    Raises:
        CorruptedModelPackageError: names the graph, the tensor and what it points to.
    """
    sizes: dict[str, int] = {}
    for tensor in model.external:
        entries = dict(tensor.entries)
        if len(entries) != len(tensor.entries) or not set(entries) <= _ENTRIES:
            keys = ", ".join(ascii(key[:20]) for key, _ in tensor.entries)
            _refuse(model, tensor, "location, offset, length and checksum, each at most once", keys)
        if "location" not in entries:
            _refuse(model, tensor, "a location", "none")
        location = entries["location"]
        if location not in sizes:
            sizes[location] = _size_of(model, tensor, location)
        offset, length = (entries.get(key, "0") for key in ("offset", "length"))
        for text in (offset, length):
            if not (text.isascii() and text.isdecimal() and len(text) <= 19):
                _refuse(model, tensor, "whole numbers for offset and length", ascii(text[:40]))
        if int(offset) + int(length) > sizes[location]:
            needs = f"bytes within the {sizes[location]} of {location!r}"
            _refuse(model, tensor, needs, f"{int(offset)} + {int(length)}")


def _size_of(model: OnnxFile, tensor: ExternalTensor, location: str) -> int:
    if not is_portable_handle(location):
        _refuse(model, tensor, "a plain name inside the package folder", ascii(location[:80]))
    path = model.path.parent / location
    try:
        folder, target = model.path.parent.resolve(), path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError) as exc:  # the latter for a link that leads to itself, before Python 3.13
        _refuse(model, tensor, f"the file {location!r}", getattr(exc, "strerror", None) or type(exc).__name__)
    if not may_lead(folder, target):
        _refuse(model, tensor, "a file of the folder", f"{location!r} is a link that leads out of it")
    if not stat.S_ISREG(status.st_mode):
        _refuse(model, tensor, "regular files", f"{location!r} is none")
    # Files of a cache have the names that others give them; in the folder, a second name could be that of any file.
    if status.st_nlink != 1 and target.is_relative_to(folder):
        _refuse(model, tensor, "a file with one name", f"{location!r} has {status.st_nlink} (hard links)")
    return status.st_size


def _refuse(model: OnnxFile, tensor: ExternalTensor, needs: str, found: str) -> NoReturn:
    raise CorruptedModelPackageError(
        f"{model.path.name}: tensor {tensor.name[:80]!a} at byte {tensor.position} has its values in a file that is "
        "not opened.",
        needs=needs,
        found=found,
    )


def no_graph(name: str, found: str) -> CorruptedModelPackageError:
    """The error for a file that is no ONNX graph."""
    return CorruptedModelPackageError(
        f"{name} is not an ONNX graph.",
        needs="a complete ONNX file",
        found=found,
        fix="export or fetch the file again",
    )
