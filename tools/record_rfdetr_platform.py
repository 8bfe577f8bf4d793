"""Record the networks of RF-DETR that rfdetr 1.11 does not have, as fixtures for tests/networks/test_rfdetr.py.

    python tools/record_rfdetr_platform.py tests/networks/recorded

Run it in an environment of its own with inference-models 0.39.6 (Apache-2.0), which has the two largest sizes and the
semantic ones. `rfdetr_platform_shapes.json.gz`: tensors by name and shape, by size. `rfdetr_semantic.npz`: of
`rfdetr-sem-nano` with weights drawn by name, every sixth logit for `drawn("images", ...)`.
Recorded on 2026-11-27 with inference-models 0.39.6, torch 2.13.0.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch
from inference_models.models.rfdetr import rfdetr_base_pytorch as networks

from record_rfdetr_weights import drawn

SIZES = {
    "rfdetr-xlarge": "RFDETRXLargeConfig",
    "rfdetr-2xlarge": "RFDETR2XLargeConfig",
    "rfdetr-sem-nano": "RFDETRSemNanoConfig",
    "rfdetr-sem-small": "RFDETRSemSmallConfig",
    "rfdetr-sem-medium": "RFDETRSemMediumConfig",
    "rfdetr-sem-large": "RFDETRSemLargeConfig",
    "rfdetr-sem-xlarge": "RFDETRSemXLargeConfig",
    "rfdetr-sem-2xlarge": "RFDETRSem2XLargeConfig",
}
CLASSES, SIDE = 5, 312


def main(folder: Path) -> None:
    """Write both files."""
    shapes = {}
    for name, kind in SIZES.items():
        config = getattr(networks, kind)(device=torch.device("cpu"), num_classes=CLASSES)
        network = networks.build_model(config).eval()
        shapes[name] = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
        print(name, len(shapes[name]), flush=True)
        if name == "rfdetr-sem-nano":
            network.load_state_dict({k: torch.from_numpy(drawn(k, tuple(s))) for k, s in shapes[name].items()})
            with torch.no_grad():
                logits = network(torch.from_numpy(drawn("images", (1, 3, SIDE, SIDE)) * 27))
            print(logits.shape, logits.std(), flush=True)
            np.savez_compressed(folder / "rfdetr_semantic.npz", logits=logits[..., ::6, ::6].numpy())
    text = json.dumps(shapes, separators=(",", ":"))
    (folder / "rfdetr_platform_shapes.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
