"""PP-OCRv6 recognition: the text of an image that shows one line.

Source: PaddlePaddle/PaddleOCR, project and weights Apache-2.0. Papers: arXiv 2205.00159 (SVTR); connectionist temporal
classification, Graves et al., ICML 2006.
Export: paddle2onnx, as `inference.onnx` beside `inference.yml`, or as rapidocr 3.10 ships it, with the characters in
its metadata: (B, 3, 48, W) to (B, T, 2 + characters) scores of nothing, the characters, and the space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import namespace, to_numpy
from inference_models.decoders.text_lines import Letters
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import Family, TextGraph
from inference_models.package.characters import read_characters
from inference_models.package.paddle_config import read_paddle_input
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import Session

NOTHING = 0
"""The token between characters."""
HEIGHT, WIDEST = 48, 3200


class CtcDecoder:
    """Takes the most likely token of every column; of equal neighbours one counts, and nothing counts for none."""

    def __init__(self, sessions: Mapping[str, Session], files: Mapping[str, Path]) -> None:
        self._words = ["", *read_characters(files["graph"], files.get("config")), " "]
        output = sessions["graph"].outputs[0]
        self._name = output.name
        if output.shape:
            self._check(output.shape)

    def _check(self, shape: Sequence[int | None]) -> None:
        if len(shape) != 3 or shape[2] not in {None, len(self._words)}:
            raise CorruptedModelPackageError(
                f"the characters are not those of output {self._name!r}.",
                needs=f"(batch, columns, {len(self._words)}): nothing, {len(self._words) - 2} characters, the space",
                found=str(tuple(shape)),
                fix="take graph and characters from one model",
            )

    def tokens(self, outputs: Sequence[Array]) -> NumpyArray:
        """(B, T) int64.

        Raises:
            CorruptedModelPackageError: a graph that did not say its shape before has another number of characters.
        """
        scores = outputs[0]
        self._check(scores.shape)
        return np.asarray(to_numpy(namespace(scores).argmax(scores, axis=-1)), np.int64)

    def texts(self, tokens: NumpyArray) -> list[str]:
        """The text of each row."""
        first = np.diff(tokens, axis=1, prepend=NOTHING - 1) != 0
        return ["".join(self._words[token] for token in row[new]) for row, new in zip(tokens, first, strict=True)]

    def letters(self, outputs: Sequence[Array]) -> list[Letters]:
        """Of each line; the score of a letter is that of its first column."""
        tokens = self.tokens(outputs)
        scores = np.take_along_axis(to_numpy(outputs[0]), tokens[..., None], axis=2)[..., 0].astype(np.float32)
        written = (np.diff(tokens, axis=1, prepend=NOTHING - 1) != 0) & (tokens != NOTHING)
        return [
            Letters(
                "".join(self._words[token] for token in row[new]),
                sure[new],
                (np.flatnonzero(new) + np.float32(0.5)) / np.float32(len(row)),
            )
            for row, sure, new in zip(tokens, scores, written, strict=True)
        ]


def configured(graph: TextGraph, files: Mapping[str, Path]) -> TextGraph:
    """`graph` for the colours, the height and the least width that `inference.yml` states."""
    stated = read_paddle_input(files.get("config"))
    height, width = stated.size or (HEIGHT, graph.least_width)
    spec = replace(LINE, color=stated.color or LINE.color, size=(height, WIDEST))
    return replace(graph, preprocess=spec, least_width=width)


LINE = PreprocessSpec(
    size=(HEIGHT, WIDEST),
    color="bgr",
    resize=ResizeMode.LINE,
    scaling_factor=255,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
READER = TextGraph(
    decoder=CtcDecoder,
    files={"graph": "*", "config": "inference.yml"},
    optional_files=frozenset({"config"}),
    configure=configured,
    least_width=320,
    preprocess=LINE,
)
FAMILY = Family(architecture="pp-ocrv6-rec", tasks={"text-only-ocr": READER})
