"""Small PyTorch networks and package folders, built in the test that needs them; import only where torch is there."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

pytest.importorskip("torch")

import torch
from torch import Tensor, nn


class Convolution(nn.Module):
    """`relu(conv2d(images))`, (B, 3, H, W) -> (B, 4, H - 2, W - 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.layer(images))


class Rows(nn.Module):
    """Always answers `rows` (1, ...), once for every image; a NaN in the input would show."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows)

    def forward(self, images: Tensor) -> Tensor:
        ones = 1 + 0 * images.mean((1, 2, 3))
        return self.rows * ones.reshape(-1, *(1 for _ in self.rows.shape[1:]))


class Constants(nn.Module):
    """Always answers the same, whatever the input."""

    def __init__(self, outputs: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.outputs = [torch.from_numpy(output) for output in outputs]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        ones = 1 + 0 * images.mean()
        return tuple(output * ones for output in self.outputs)


def convolution(seed: int = 0) -> Convolution:
    torch.manual_seed(seed)
    return Convolution().eval()


def build_convolution(shapes: Mapping[str, tuple[int, ...]], stated: Mapping[str, Any]) -> Convolution:
    """A builder as families name them."""
    del shapes, stated
    return Convolution()


def save_archive(module: nn.Module, path: Path, *, example: Sequence[int] | None = None) -> Path:
    """`module` as a TorchScript archive: traced on zeros of the shape `example`, scripted without one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # PyTorch 2.13 marks torch.jit as deprecated; tracing reads every attribute, also what Transformers deprecates.
        for kind in (DeprecationWarning, FutureWarning, torch.jit.TracerWarning):
            warnings.simplefilter("ignore", kind)
        with torch.inference_mode(False), torch.no_grad():
            script = (
                torch.jit.script(module)
                if example is None
                else torch.jit.trace(module, torch.zeros(*example), strict=False)
            )
        script.save(str(path))
    return path


def save_constants(path: Path, outputs: Sequence[np.ndarray], *, example: Sequence[int]) -> Path:
    """An archive that takes images of the shape `example` and always answers `outputs`, which hold its batch."""
    return save_archive(Constants(outputs).eval(), path, example=example)


def save_graph(
    module: nn.Module, path: Path, feeds: Mapping[str, Tensor], output: str, axes: Mapping[str, Mapping[int, str]]
) -> None:
    """A graph of `module` with open `axes` of its inputs, by name, and of its `output`."""
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        # PyTorch 2.9 marks this exporter as deprecated; the new one needs packages of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            module,
            tuple(feeds.values()),
            str(path),
            input_names=[*feeds],
            output_names=[output],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def save_heads(module: nn.Module, path: Path, pixels: Tensor, heads: Sequence[str]) -> None:
    """`module` as an ONNX graph of one size and batch, whose outputs are called `heads`."""
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (pixels,),
            str(path),
            input_names=["pixel_values"],
            output_names=[*heads],
            opset_version=17,
            dynamo=False,
        )


def save_onnx(module: nn.Module, path: Path, size: tuple[int, int]) -> None:
    """`module`, which makes logits of images, as an ONNX graph of any batch."""
    batch = {0: "batch"}
    save_graph(module, path, {"images": torch.zeros(1, 3, *size)}, "logits", {"images": batch, "logits": batch})


def consent(folder: Path) -> dict[str, str]:
    """The option that lets the TorchScript archive of a package run; empty where it has none."""
    archive = folder / "weights.torchscript"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest() if archive.is_file() else None
    return {} if digest is None else {"allow_local_code_packages": f"sha256:{digest}"}


def network_input(size: tuple[int, int], **changes: Any) -> dict[str, Any]:
    """The part of `inference_config.json` about the input."""
    return {
        "training_input_size": {"height": size[0], "width": size[1]},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "stretch",
        "input_channels": 3,
        "scaling_factor": 255,
        **changes,
    }


def describe_package(folder: Path, *, names: Sequence[str], inference: dict[str, Any] | None, **model: Any) -> Path:
    """Write what turns weights in `folder` into a package."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "class_names.txt").write_text("\n".join(names))
    (folder / "model_config.json").write_text(json.dumps(model))
    if inference is not None:
        (folder / "inference_config.json").write_text(json.dumps(inference))
    return folder
