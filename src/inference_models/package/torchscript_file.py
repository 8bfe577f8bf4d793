"""What lies beside the program in a TorchScript archive: metadata, and the kinds of its tensors. Nothing of it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inference_models.entities import Quantization
from inference_models.package.exporter_texts import literal_metadata, text_in_zip
from inference_models.package.graph_facts import GraphFacts

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "/extra/config.txt"
"""Where `torch.jit.save(..., _extra_files={"config.txt": ...})` puts it, as Ultralytics does."""
_TENSORS = ("/data.pkl", "/constants.pkl")
"""Pickles that name the kind of every stored tensor; they are searched for these names, never unpickled."""
_FEW_BITS = re.compile(r"(?:QU?Int\d\w*|Char|Byte|Float8\w*)Storage|_rebuild_qtensor|torch\.classes\.quantized")
"""Of quantised modules of PyTorch (2.13 writes all three), and of weights that the program itself widens."""
_NUMBERS = {"BFloat16": Quantization.BF16, "Float": Quantization.FP32, "Half": Quantization.FP16}


def read_graph(path: Path) -> GraphFacts:
    """The metadata and the number format of an archive; shapes are known to PyTorch alone."""
    tensors = "".join(text_in_zip(path, place) for place in _TENSORS)
    return GraphFacts(metadata=literal_metadata(text_in_zip(path, CONFIG)), quantization=_number_format(tensors))


def _number_format(tensors: str) -> Quantization:
    if _FEW_BITS.search(tensors):
        return Quantization.INT8
    found = {_NUMBERS[name] for name in re.findall(r"(?<![A-Za-z])([A-Z]\w*)Storage", tensors) if name in _NUMBERS}
    return found.pop() if len(found) == 1 else Quantization.UNKNOWN
