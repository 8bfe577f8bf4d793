"""Bodies that a server compressed although nobody asked for it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from inference_models.errors import ModelRetrievalError, RetryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 1 << 20
_MAX_RATIO = 100
"""Models do not shrink to a hundredth; what does is made to fill a disk."""
_FREE = 16 << 20
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
ENCODINGS = frozenset({"deflate", "gzip", "x-gzip"})
_OTHER_ENCODINGS = frozenset({"br", "compress", "dcb", "dcz", "zstd"})


def check_encoding(encoding: str, *, where: str) -> bool:
    """Whether a body with this `Content-Encoding` has to be decoded.

    Raises:
        ModelRetrievalError: nobody here can decode it.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return False
    if name in ENCODINGS:
        return True
    raise ModelRetrievalError(
        f"{where} sends a compressed file.",
        needs="a file as it is, or gzip",
        # Another name is not shown: a server may put anything there, what it was sent included.
        found=repr(name) if name in _OTHER_ENCODINGS else "an encoding of another name",
        fix="store the file without a Content-Encoding",
    )


def decoded(chunks: Iterator[bytes], close: Callable[[], None], *, where: str) -> Iterator[bytes]:
    """The bytes that `chunks` hold compressed, in pieces of at most 1 MB; `close` is called at the end.

    Raises:
        ModelRetrievalError: the data is damaged, or grows out of proportion.
        RetryError: the data ends too early.
    """
    inflater = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    taken = given = 0
    try:
        for chunk in chunks:
            taken += len(chunk)
            rest = chunk
            while rest and not inflater.eof:
                piece = inflater.decompress(rest, _PIECE)
                rest = inflater.unconsumed_tail
                given += len(piece)
                _refuse_bomb(taken, given, where)
                yield piece
        if not inflater.eof:
            raise RetryError(f"{where} ended early.", needs="a complete gzip body", found=f"{taken} bytes of it")
    except zlib.error as exc:
        raise ModelRetrievalError(f"{where} cannot be decoded.", needs="a gzip body", found="damaged data") from exc
    finally:
        close()


def _refuse_bomb(taken: int, given: int, where: str) -> None:
    if given > _FREE and given > taken * _MAX_RATIO:
        raise ModelRetrievalError(
            f"{where} grows out of proportion while it is decoded.",
            needs=f"at most {_MAX_RATIO} times the bytes that arrived",
            found=f"{given} bytes from {taken}",
        )
