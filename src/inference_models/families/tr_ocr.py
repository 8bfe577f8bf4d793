"""TrOCR: the text of an image that shows one line.

Source: microsoft/unilm, project and weights MIT. Paper: arXiv 2109.10282.
Export: `optimum-cli export onnx --model microsoft/trocr-base-printed --task image-to-text`: the encoder takes
`pixel_values` (B, 3, 384, 384) and gives `last_hidden_state`; the decoder without a cache takes `input_ids` (B, L) and
`encoder_hidden_states` and gives logits (B, L, V). `vocab.json` or `tokenizer.json` is that of the tokenizer. The
decoder was checked against the greedy search of transformers; `VisionEncoderDecoderModel` of it is a package too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import device_of, namespace, to_numpy
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import Family, TextGraph
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode
from inference_models.package.text_tokens import byte_letters, read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import Session

END = 2
"""The token a text begins and ends with."""
SPECIAL = frozenset({"<s>", "<pad>", "</s>", "<unk>", "<mask>"})
TOKENIZER = {"tokenizer": "tokenizer.json"}
LONGEST = 64
"""Tokens of a text at most; a printed line has about 20."""


class GreedyDecoder:
    """Writes a text token by token, each time the most likely one."""

    def __init__(self, sessions: Mapping[str, Session], files: Mapping[str, Path]) -> None:
        self._decoder = sessions["decoder"]
        self._tokenizer = read_tokenizer(files["tokenizer"]) if "tokenizer" in files else None
        self._words = {} if self._tokenizer else _read_words(files)

    def tokens(self, outputs: Sequence[Array]) -> NumpyArray:
        """(B, L) int64; a text that ended is followed by further end tokens.

        1. Ask the decoder for the token after the last one of every text.
        2. Stop when every text has ended, or is as long as it may be.
        """
        hidden = outputs[0]
        xp = namespace(hidden)
        written = np.full((hidden.shape[0], 1), END, np.int64)
        ended = np.zeros(hidden.shape[0], np.bool_)
        while not ended.all() and written.shape[1] <= LONGEST:
            feeds = {"input_ids": xp.asarray(written, device=device_of(hidden)), "encoder_hidden_states": hidden}
            logits = next(iter(self._decoder.run(feeds).values()))
            best = to_numpy(xp.argmax(logits[:, -1], axis=-1))
            following = np.where(ended, END, best)
            ended |= following == END
            written = np.concatenate([written, following[:, None].astype(np.int64)], axis=1)
        return written[:, 1:]

    def texts(self, tokens: NumpyArray) -> list[str]:
        """The text of each row, up to its end."""
        if self._tokenizer is not None:
            return [str(self._tokenizer.decode(row)) for row in tokens.tolist()]
        return [
            b"".join(self._words.get(token, b"") for token in row).decode("utf-8", "replace") for row in tokens.tolist()
        ]


def _read_words(files: Mapping[str, Path]) -> dict[int, bytes]:
    if "vocab" not in files:
        raise CorruptedModelPackageError(
            "the package does not say which texts its tokens are.",
            needs="tokenizer.json or vocab.json",
            found="neither",
        )
    vocabulary: dict[str, int] = json.loads(files["vocab"].read_text("utf-8"))
    return {number: _bytes_of(word) for word, number in vocabulary.items() if word not in SPECIAL}


def _bytes_of(word: str) -> bytes:
    """Words of the vocabulary are spelled in one printable character per byte, as GPT-2 does it."""
    return bytes(_BYTES[letter] for letter in word if letter in _BYTES)


_BYTES = byte_letters()

FAMILY = Family(
    architecture="tr-ocr",
    tasks={
        "text-only-ocr": TextGraph(
            decoder=GreedyDecoder,
            files={"encoder": "*encoder*", "decoder": "*decoder*", "vocab": "vocab.json", **TOKENIZER},
            optional_files=frozenset({"vocab", *TOKENIZER}),
            preprocess=PreprocessSpec(
                size=(384, 384),
                resize=ResizeMode.STRETCH,
                scaling_factor=255,
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
            ),
        )
    },
)
