"""What lies beside the program in a TorchScript archive: the metadata of its exporter. Nothing of the archive runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.package.exporter_texts import literal_metadata, text_in_zip
from inference_models.package.graph_facts import GraphFacts

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "/extra/config.txt"
"""Where `torch.jit.save(..., _extra_files={"config.txt": ...})` puts it, as Ultralytics does."""


def read_graph(path: Path) -> GraphFacts:
    """The metadata of an archive; shapes and number format are known to PyTorch alone."""
    return GraphFacts(metadata=literal_metadata(text_in_zip(path, CONFIG)))
