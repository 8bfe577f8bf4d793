"""Package folders of tiny detectors, and a registry that serves them."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from graphs import constant_outputs
from inference_models.registry.library import PackageLibrary
from inference_models.registry.server import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.registry.access import Access

CLASSES = ("cat", "dog")
SIZE = 32
BOX = (16.0, 16.0, 8.0, 8.0)
"""Centre and size of the one box every image gets, in network pixels; its class is 1."""
INFERENCE_CONFIG = {
    "network_input": {
        "training_input_size": {"height": SIZE, "width": SIZE},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "stretch",
        "input_channels": 3,
        "scaling_factor": 255,
    },
    "post_processing": {"type": "nms", "fused": False},
}


def write_detector(folder: Path, *, score: float = 0.9, **config: object) -> Path:
    """A yolov8 package that answers the same box for every image."""
    output = np.zeros((1, 4 + len(CLASSES), 21), np.float32)
    output[0, :4, 0] = BOX
    output[0, 5, 0] = score
    constant_outputs(folder / "weights.onnx", size=(SIZE, SIZE), outputs={"output0": output}, batch="batch")
    (folder / "class_names.txt").write_text("\n".join(CLASSES) + "\n")
    (folder / "inference_config.json").write_text(json.dumps(INFERENCE_CONFIG))
    stated = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx", **config}
    (folder / "model_config.json").write_text(json.dumps(stated))
    return folder


@contextmanager
def serving(root: Path, *, access: Access | None = None, public_url: str | None = None) -> Iterator[RegistryServer]:
    """A registry of the packages below `root` on a free port of this machine."""
    server = RegistryServer(PackageLibrary(root), access=access, public_url=public_url)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(15)
        assert not thread.is_alive()
