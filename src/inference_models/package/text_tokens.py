"""Texts as rows of tokens, by the `tokenizers` library: as a `tokenizer.json` says, or as CLIP was trained."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models.errors import CorruptedModelPackageError, MissingDependencyError, ModelInputError
from inference_models.package.text_files import parse_json_object, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference_models.arrays import NumpyArray

ROLES = {"tokenizer": "tokenizer.json", "tokenizer_config": "tokenizer_config.json"}
"""Files of a package that say how its texts become tokens, as those of transformers are called."""
_INPUTS = ["input_ids", "attention_mask"]
"""Of networks whose tokenizer does not say it; a mask hides what fills a row up."""
_LEFT = frozenset({"GemmaTokenizer", "GemmaTokenizerFast", "Siglip2Tokenizer"})
"""Tokenizers of transformers that fill rows up at their start, where nothing else is stated."""
LONGEST = 20_000
"""Characters of a text that is looked at; no context holds the tokens of more."""
_CLIP_START, _CLIP_END = "<|startoftext|>", "<|endoftext|>"
_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_PLAIN = dict.fromkeys((0x02BC, 0x2018, 0x2019, 0x201B), "'") | dict.fromkeys((0x201C, 0x201D, 0x201F), '"')
"""Curled quotes."""
_WIDE = re.compile("[\ufb00-\ufb06\uff01-\uffef\u3000]")
"""Ligatures of Latin letters, and letters as wide as Chinese ones."""


class TextTokens:
    """Makes rows of one length of texts. Safe to call from many threads."""

    def __init__(
        self, tokenizer: Any, *, length: int, pad: int, sees_padding: bool = False, pads_left: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self.length = length
        """Tokens of a row, where the graph takes any number."""
        self._pad = pad
        self._sees_padding = sees_padding
        self._pads_left = pads_left
        self.cleaned: Callable[[str], str] = str

    def rows(self, texts: Sequence[str], length: int) -> tuple[NumpyArray, NumpyArray]:
        """(n, length) int64 tokens, and as many int64 of which 1 marks a token that the network looks at.

        Raises:
            ModelInputError: a text has more tokens, or is no text; names it.
        """
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        tokens = np.full((len(texts), length), self._pad, np.int64)
        mask = np.zeros_like(tokens) + self._sees_padding
        for place, text in enumerate(texts):
            row = self._of(text, f"text {place + 1} of {len(texts)}", length)
            start = length - len(row) if self._pads_left else 0
            tokens[place, start : start + len(row)] = row
            mask[place, start : start + len(row)] = 1
        return tokens, mask

    def _of(self, text: object, label: str, length: int) -> list[int]:
        if not isinstance(text, str):
            raise ModelInputError(f"{label} is no text.", needs="a str", found=type(text).__name__)
        if len(text) > LONGEST:
            raise _too_long(label, f"at most {LONGEST} characters", f"{len(text)}")
        try:
            row: list[int] = self._tokenizer.encode(self.cleaned(text)).ids
        except (TypeError, UnicodeEncodeError) as exc:  # half of a pair of surrogates
            raise ModelInputError(f"{label} is no text.", needs="Unicode", found=ascii(text[:40])) from exc
        if len(row) > length:
            raise _too_long(label, f"at most {length} tokens, first and last one included", f"{len(row)}")
        return row


def read_tokens(files: Mapping[str, Path], *, length: int, pad: str, sees_padding: bool = False) -> TextTokens:
    """What the `tokenizer.json` of a package says; what fills rows up is in it, or in `tokenizer_config.json`.

    Args:
        files: of the package, by `ROLES`.
        length: of the context.
        pad: the token that fills rows up, where no file says it.
        sees_padding: whether the network looks at what fills a row up, where `tokenizer_config.json` is missing.

    Raises:
        CorruptedModelPackageError: a file is damaged, or has no such token.
        MissingDependencyError: the library is not installed.
    """
    path = files["tokenizer"]
    tokenizer = read_tokenizer(path)
    stated = tokenizer.padding
    tokenizer.no_padding()
    tokenizer.no_truncation()
    config = files.get("tokenizer_config")
    about = parse_json_object(read_text(config, where=config.name), where=config.name) if config else {}
    token = _stated_pad(about) or (stated or {}).get("pad_token") or pad
    number = tokenizer.token_to_id(token)
    if number is None:
        raise CorruptedModelPackageError(f"{path.name} does not know the token that fills rows up.", found=repr(token))
    inputs = about.get("model_input_names", _INPUTS)
    return TextTokens(
        tokenizer,
        length=length,
        pad=number,
        sees_padding=isinstance(inputs, list) and "attention_mask" not in inputs if about else sees_padding,
        pads_left=about.get("padding_side", "left" if about.get("tokenizer_class") in _LEFT else "right") == "left",
    )


def read_tokenizer(path: Path) -> Any:
    """The `tokenizers.Tokenizer` that a file describes.

    Raises:
        CorruptedModelPackageError: it describes none.
        MissingDependencyError: the library is not installed.
    """
    text = read_text(path, where=path.name)
    try:
        return _import_tokenizers().Tokenizer.from_str(text)
    except MissingDependencyError:
        raise
    except Exception as exc:  # the library raises nothing more exact
        raise CorruptedModelPackageError(
            f"{path.name} is not the description of a tokenizer.",
            needs="what the tokenizers library saves",
            found=str(exc)[:200],
        ) from exc


def _stated_pad(about: Mapping[str, Any]) -> str | None:
    token = about.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def clip_tokens() -> TextTokens:
    """CLIP's own tokens, 77 in a row that zeros fill up, as `clip.tokenize` of openai/CLIP makes them.

    Texts are cleaned as there: curled quotes, ligatures and wide letters are written plainly, HTML entities are
    resolved twice. Wrongly decoded letters, which `ftfy` guesses there, are left as they are.

    Raises:
        MissingDependencyError: the library is not installed.
    """
    tokens = TextTokens(_clip_tokenizer(), length=77, pad=0)
    tokens.cleaned = _clean
    return tokens


@cache
def _clip_tokenizer() -> Any:
    """Byte-pair encoding: the letters of GPT-2 for bytes, alone and at the end of a word, then what merges make."""
    import gzip  # noqa: PLC0415 - only here

    library = _import_tokenizers()
    stored = gzip.decompress(Path(__file__).with_name("clip_merges.txt.gz").read_bytes()).decode()
    merges = [tuple(line.split(" ")) for line in stored.splitlines()]  # MIT, see clip_merges.LICENSE
    letters = byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), _CLIP_START, _CLIP_END]
    vocabulary = {word: number for number, word in enumerate(words)}
    model = library.models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=_CLIP_END)
    tokenizer = library.Tokenizer(model)
    tokenizer.normalizer = library.normalizers.Lowercase()
    split = library.pre_tokenizers.Split(library.Regex(f"{_special()}|{_CLIP_WORDS}"), "removed", invert=True)
    plain = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([split, plain])
    ends = [(word, vocabulary[word]) for word in (_CLIP_START, _CLIP_END)]
    tokenizer.post_processor = library.processors.TemplateProcessing(
        single=f"{_CLIP_START} $A {_CLIP_END}", special_tokens=ends
    )
    tokenizer.add_special_tokens([_CLIP_START, _CLIP_END])
    return tokenizer


def byte_letters() -> dict[str, int]:
    """The printable letter that GPT-2 writes for each byte, those of printable bytes first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _special() -> str:
    return "|".join(map(re.escape, (_CLIP_START, _CLIP_END)))


def _clean(text: str) -> str:
    plain = _WIDE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text.lstrip("\ufeff").translate(_PLAIN))
    resolved = html.unescape(html.unescape(unicodedata.normalize("NFC", plain)))
    return " ".join(resolved.split())


def _too_long(label: str, needs: str, found: str) -> ModelInputError:
    return ModelInputError(f"{label} is too long for the model.", needs=needs, found=found, fix="shorten it")


def _import_tokenizers() -> Any:
    try:
        import tokenizers  # noqa: PLC0415 - only models of texts need it
    except ImportError as exc:
        raise MissingDependencyError(
            "texts cannot be turned into tokens.",
            needs="tokenizers",
            found="not installed",
            fix='pip install "tokenizers>=0.15,<1"',
        ) from exc
    return tokenizers
