"""Texts that are far more work than they look, and the readers they could reach: `python hostile_texts.py READER`.

Each is as large as its reader takes files. It ends in what it says or in an error of this library;
passing a limit of the process, or any other error, ends the process.
"""

from __future__ import annotations

import resource
import struct
import sys
import tempfile
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.arrays import TensorSpec
from inference_models.errors import BaseInferenceModelsError
from inference_models.freeze.lockfile import MAX_LOCK_BYTES, read_lock
from inference_models.package import (
    class_names,
    exporter_texts,
    exporters,
    hf_config,
    hf_folder,
    inference_config,
    key_point_names,
    manifest,
    model_config,
    openvino_file,
    tflite_file,
    torchscript_file,
)
from inference_models.package.graph_facts import GraphFacts
from inference_models.package.text_files import MAX_TEXT_BYTES, read_text
from inference_models.text import MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS = 10
"""Of the processor, for each text."""
SPARE = 256 << 20


def filled(unit: str, start: str = "", end: str = "") -> Callable[[int], str]:
    return lambda size: start + unit * ((size - len(start) - len(end)) // len(unit.encode())) + end


def numbered(unit: str, start: str = "", end: str = "") -> Callable[[int], str]:
    """The unit with a number in place of each `#`."""
    return lambda size: start + "".join(unit.replace("#", str(n)) for n in range(size // (len(unit) + 6))) + end


JSON = {
    "brackets": filled("["),
    "objects in objects": filled('{"a":'),
    "numbers": filled("0,", '{"a":[', "0]}"),
    "lists": filled("[],", '{"a":[', "0]}"),
    "objects": filled('{"":0},', '{"a":[', "0]}"),
    "keys": numbered('"#":0,', "{", '"":0}'),
    "the same key": filled('"a":0,', "{", '"a":0}'),
    "digits": filled("9", '{"a":', "}"),
    "infinities": filled("1e999,", '{"a":[', "0]}"),
    "quotes that do not end": filled('\\"', '{"a":"'),
    "one wide character": filled("x", '{"a":"\U0001f600', '"}'),
    "spaces": filled(" "),
}
NAMES = {
    "lines": filled("a\n"),
    "blank lines": filled("\n", end="a"),
    "one line": filled("x"),
    "a mark at the end": filled("x", end="\u202e"),
    "a list": filled('"a",', "[", '"a"]'),
}
TOML = {
    "a long key": filled(".a", "a", "=1"),
    "long keys": numbered(f"a{'.a' * 31}.b#=1\n"),
    "long tables": numbered(f"[a{'.a' * 31}.b#]\n"),
    "a long key behind a text of lines": filled(".a", 'a={b="""\n""", c', "=1}"),
    "lists in lists": filled("[", "a="),
    "numbers": filled("1,", "a=[", "1]"),
    "tables": filled("{a=1},", "a=[", "{a=2}]"),
    "quotes that do not end": filled('\\"', 'a="'),
    "keys": numbered("'#'=1\n"),
    "subtables": numbered("[a.b#]\nc=1\n"),
}
LITERALS = {
    "names": numbered("#: 'a', ", "{", "0: 'a'}"),
    "numbers": filled("0,", "[", "0]"),
    "texts": filled("'',", "[", "'']"),
    "tuples": filled("(),", "[", "0]"),
    "sums": filled("1+", "", "1j"),
    "signs": filled("-", "", "1"),
    "brackets": filled("[{("),
    "quotes that do not end": filled('\\"', '["', "\\"),
    "texts side by side": filled("'' ", "[", "]"),
}
YAML = {
    **{
        f"names: {name}": partial(lambda make, size: f"names: {make(size - 7)}", make)
        for name, make in LITERALS.items()
    },
    "a text that does not end": filled("  x\n", "a: 'b\n"),
    "quotes in quotes": filled("  ''\n", "a: '\n"),
    "a long text": filled(" x\n", "a: b\n"),
    "an item that does not end": filled("- 'a\n", "names:\n"),
    "items": filled("- a\n", "names:\n"),
    "entries": numbered("  #: a\n", "names:\n"),
    "keys": numbered("k#: a\n"),
}
XML = {
    "layers that do not end": filled("<layer ", "<net "),
    "types": filled('<layer type="Const">', "<net "),
    "types of one layer": filled('type="Const"', "<net <layer "),
    "values": filled(f'<layer type="Const">{"element_type=a" * 250}</layer>', "<net "),
    "elements": filled("<a/>", "<net "),
    "elements in elements": filled("<a>", "<net "),
    "repeats": filled('type="Loop"', "<net "),
    "sides": filled("<dim>", "<net "),
}


def _tflite(size: int) -> bytes:
    """A graph whose tensors are all one table, with a shape as long as the file; so are its inputs and its buffers."""
    count = min(size // 13, tflite_file.MAX_ITEMS)
    words = [0, 0]  # root offset, identifier
    position = {}

    def table(name: str, fields: list[int]) -> None:
        start = len(words) * 4
        sizes = struct.pack(f"<{2 + len(fields)}H", 4 + 2 * len(fields), 4 + 4 * len(fields), *fields)
        sizes += b"\0" * (-len(sizes) % 4)
        words.extend(struct.unpack(f"<{len(sizes) // 4}I", sizes))
        position[name] = len(words) * 4
        words.append(position[name] - start)

    def field(target: str) -> None:
        later.append((len(words), target))
        words.append(0)

    def vector(name: str, target: str, times: int) -> None:
        position[name] = len(words) * 4
        words.append(times)
        for _ in range(times):
            field(target)

    later: list[tuple[int, str]] = []
    table("model", [0, 0, 4, 0, 8])
    field("graphs")
    field("buffers")
    vector("graphs", "graph", 1)
    table("graph", [4, 8, 12])
    field("tensors")
    field("long")
    field("long")
    vector("tensors", "tensor", count)
    vector("buffers", "tensor", count)
    table("tensor", [4, 0, 0, 8])
    field("long")
    field("long")
    position["long"] = len(words) * 4
    words.extend([count, *[1] * count])
    for place, target in later:
        words[place] = position[target] - 4 * place
    words[0] = position["model"]
    words[1] = int.from_bytes(tflite_file.IDENTIFIER, "little")
    return struct.pack(f"<{len(words)}I", *words)


def _safetensors(header: Callable[[int], str], data: int = 0) -> Callable[[int], bytes]:
    """A file of `data` bytes of numbers behind a header that fills the rest."""

    def write(size: int) -> bytes:
        text = header(size - 8 - data).encode()
        return len(text).to_bytes(8, "little") + text + bytes(data)

    return write


def entry(shape: str, end: int = 4, start: int = 0) -> str:
    return f'{{"dtype":"F32","shape":[{shape}],"data_offsets":[{start},{end}]}}'


def _entries(size: int) -> str:
    """As many tensors as a header may have."""
    told = ",".join(f'"{n}":{entry("1", 4 * n + 4, 4 * n)}' for n in range(MAX_VALUES // 8))
    return filled(" ", f"{{{told}", "}")(size)


ODD_ENTRIES = {
    "overlap": f'"a":{entry("1")},"b":{entry("1")}',
    "a gap": f'"a":{entry("1", 8, 4)}',
    "an end before the start": f'"a":{entry("1", 0, 4)}',
    "an end behind the file": f'"a":{entry("100", 400)}',
    "more sides than there are numbers": f'"a":{entry(str(1 << 62), 0)}',
    "a side too long for any number": f'"a":{entry(f"0,{1 << 63}", 0)}',
    "negative sides": f'"a":{entry("-1")}',
    "the same entry": f'"a":{entry("1")},"a":{entry("1")}',
    "the same entry in other letters": f'"a":{entry("1")},"\\u0061":{entry("1")}',
    "half a letter": f'"\\ud800":{entry("1")}',
}
SAFETENSORS = {
    **{f"header: {name}": _safetensors(make) for name, make in JSON.items()},
    **{name: _safetensors(filled(" ", f"{{{told}", "}"), 4) for name, told in ODD_ENTRIES.items()},
    "entries": _safetensors(_entries, MAX_VALUES // 8 * 4),
    "more entries": _safetensors(numbered(f'"#":{entry("0", 0)},', "{", f'"":{entry("0", 0)}}}')),
    "many sides": _safetensors(filled("1,", '{"a":{"dtype":"F32","shape":[', '1],"data_offsets":[0,4]}}'), 4),
    "a header that claims more": lambda size: (1 << 63).to_bytes(8, "little") + bytes(size - 8),
}
TFLITE = {"few tensors of many sides": _tflite}


def in_file(read: Callable[[Path], object], name: str, path: Path) -> Callable[[bytes], object]:
    def reader(data: bytes) -> object:
        (path / name).write_bytes(data)
        return read(path / name)

    return reader


def in_text(parse: Callable[[str], object], folder: Path) -> Callable[[bytes], object]:
    return in_file(lambda path: parse(read_text(path, where=path.name)), "text", folder)


def _graph(metadata: Mapping[str, str]) -> object:
    specs = TensorSpec("images", (1, 3, 640, 640), "float32"), TensorSpec("output0", (1, 84, 8400), "float32")
    return exporters.read_exporter(GraphFacts(metadata=metadata, inputs=specs[:1], outputs=specs[1:]))


def _said(data: bytes) -> object:
    text = data.decode()
    said = dict.fromkeys(("args", "imgsz", "kpt_names", "kpt_shape", "names", "stride"), text)
    _graph({**said, "task": "detect"})
    return _graph({**said, "task": "pose", "names": "{0: 'a'}"})


def _zipped(path: Path) -> object:
    text = path.read_text()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/extra/config.txt", text)
    return _graph(torchscript_file.read_graph(path).metadata)


def _in_torch(folder: Path) -> Callable[[bytes], object]:
    import torch

    from inference_models.backends.torch import read_state

    def reader(path: Path) -> object:
        with suppress(BaseInferenceModelsError):
            hf_folder.dtypes_of({path.name: path})
        return read_state(path, torch)

    return in_file(reader, "model.safetensors", folder)


CLASSIFIER = '{"model_type": "vit", "architectures": ["ViTForImageClassification"], "id2label": {"0": "a"}}'
MB = 1 << 20
READERS: dict[
    str, tuple[Callable[[Path], Callable[[bytes], object]], Mapping[str, Callable[[int], str | bytes]], int]
] = {
    "class_names.txt": (partial(in_text, class_names.parse_class_names), NAMES, MAX_TEXT_BYTES),
    "config.json": (partial(in_text, hf_config.parse_hub_config), JSON, MAX_TEXT_BYTES),
    "inference_config.json": (partial(in_text, inference_config.parse_inference_config), JSON, MAX_TEXT_BYTES),
    "keypoints_metadata.json": (partial(in_text, key_point_names.parse_key_point_names), JSON, MAX_TEXT_BYTES),
    "manifest.json": (lambda _: lambda data: manifest.read_model(data, None, where="m"), JSON, manifest.MAX_BYTES),
    "metadata of a graph": (lambda _: _said, LITERALS, exporter_texts.MAX_TEXT),
    "metadata of an archive": (partial(in_file, _zipped, "m.torchscript"), LITERALS, exporter_texts.MAX_TEXT),
    "metadata.yaml": (
        partial(in_file, lambda path: _graph(exporter_texts.yaml_beside(path)), exporter_texts.METADATA),
        YAML,
        exporter_texts.MAX_TEXT,
    ),
    "model.safetensors": (_in_torch, SAFETENSORS, MAX_TEXT_BYTES),
    "model.tflite": (partial(in_file, tflite_file.read_graph, "model.tflite"), TFLITE, 2 * MB),
    "model.xml": (partial(in_file, openvino_file.read_graph, "model.xml"), XML, 4 * MB),
    "model_config.json": (partial(in_text, model_config.parse_model_config), JSON, MAX_TEXT_BYTES),
    "models.lock": (partial(in_file, read_lock, "models.lock"), TOML, MAX_LOCK_BYTES),
    "preprocessor_config.json": (
        partial(in_text, partial(hf_config.inference_config_of, hf_config.parse_hub_config(CLASSIFIER))),
        JSON,
        MAX_TEXT_BYTES,
    ),
}
"""File -> how it is read, in a folder that may be used; texts; the largest size."""


def texts_for(reader: str) -> Mapping[str, Callable[[int], str | bytes]]:
    return READERS[reader][1]


def used(field: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()


def main(name: str) -> None:
    make, texts, size = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        read = make(Path(folder))
        for title, write in texts.items():
            text = write(size - 16)
            data = text.encode() if isinstance(text, str) else text
            assert size // 2 < len(data) <= size, (title, len(data))
            del text
            seconds = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 1 + SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
            memory = used(5) + 3 * len(data) + SPARE
            resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))
            try:
                read(data)
            except BaseInferenceModelsError as exc:
                print(title, "refused:", ascii(str(exc))[:100], flush=True)
            else:
                print(title, "read", flush=True)
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(sys.argv[1])
