"""Reads an ONNX file once, without a runtime: metadata, inputs, outputs, number format, external data, hidden costs."""

from __future__ import annotations

import mmap
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from inference_models.arrays import TensorSpec
from inference_models.config import cache_directory
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError
from inference_models.files.names import is_plain_name, may_lead
from inference_models.package.graph_facts import GraphFacts
from inference_models.package.onnx_operators import examine_operators
from inference_models.package.onnx_wire import DTYPES, WireError, WireReader, pair
from inference_models.package.text_files import removed
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.package.onnx_wire import Buffer, ExternalTensor, Message

_ENTRIES = {"location", "offset", "length", "checksum"}
"""What a tensor may say about its values in another file."""


class OnnxFile(GraphFacts, frozen=True, kw_only=True):
    """Facts about one graph, taken from its file once per load."""

    path: Path
    opset: int | None
    """Of the default domain; None when the file imports none."""
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
        from tempfile import TemporaryDirectory  # noqa: PLC0415 - only where there are links

        with TemporaryDirectory(
            prefix="inference-models-", ignore_cleanup_errors=True, dir=self._same_disk()
        ) as folder:
            for name, path in zip((self.path.name, *self.locations), self.files, strict=True):
                _lay(path.resolve(), Path(folder, name))
            yield Path(folder, self.path.name)

    def _same_disk(self) -> Path | None:
        """The cache where only that is on the disk of the files, which then need no copy."""
        from tempfile import gettempdir  # noqa: PLC0415 - as above

        disk, home = self.path.stat().st_dev, cache_directory()
        beside = home.is_dir() and os.access(home, os.W_OK) and home.stat().st_dev == disk
        return home if beside and Path(gettempdir()).stat().st_dev != disk else None


def _lay(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.hardlink_to(path)
    except OSError:
        import shutil  # noqa: PLC0415 - as above

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


read_graph = read_onnx_file


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
        quantization, unbounded, faults = examine_operators(model, reader)
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
        metadata=dict(map(pair, model.get("metadata_props", ()))),
        inputs=tuple(spec for graph in graphs for spec in _specs(graph, "input") if spec.name not in stored),
        outputs=tuple(spec for graph in graphs for spec in _specs(graph, "output")),
        external=tuple(reader.external),
        quantization=quantization,
        unbounded=unbounded,
        faults=faults,
    )


def _specs(graph: Message, name: str) -> Iterator[TensorSpec]:
    for value in graph.get(name, ()):
        kinds = [kind for type_ in value.get("type", ()) for kind in type_.get("tensor_type", ())]
        dtype = DTYPES.get((kinds[-1].get("elem_type") or [0])[-1], "unknown") if kinds else "unknown"
        sides = [side for kind in kinds for shape in kind.get("shape", ()) for side in shape.get("dim", ())]
        # None where the file names no number; exporters write 0 or -1 for a side they do not know.
        known = [None if "dim_param" in side else max((side.get("dim_value") or [0])[-1], 0) or None for side in sides]
        yield TensorSpec((value.get("name") or [""])[-1], tuple(known), dtype)


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
    if not is_plain_name(location):
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
