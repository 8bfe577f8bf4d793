"""Text that others wrote: control characters escaped and secrets hidden before it is shown, JSON read within bounds."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

MAX_VALUES = 300_000
"""Values of one text. The largest real ones have some ten thousands; each costs about 200 bytes of memory."""
MAX_DEPTH = 32
"""Levels of nesting. Real descriptions have eight; deeper ones could exhaust the stack."""

HIDDEN = "[hidden]"
_LONG = 4
_URL = r"(?i)\bhttps?://[^\s\"'<>\\]+"
_ENCODED_URL = r"(?i)https?(?:%(?:25)*3A|:)(?:%(?:25)*2F){2}[^\s\"'<>\\]*"
_QUERY = r"\?[^\s\"'<>\\?=]*=[^\s\"'<>\\]*"
_VALUE_TO_HIDE = r"(?i)([?&][\w.-]{0,40}(?:key|token|secret|sig|signature|password|credential)=)[^\s&\"'<>\\]+"
_USER_OF_URL = r"(\b\w{2,}:/{1,2})[^\s/@\"'<>]{1,200}@"  # one slash is left where it was taken for a path
_MAX_PATH = 200
_SHOWN_PARAMETERS = frozenset({"modelid", "includecoremlpackages"})
"""Query parameters that are shown in error texts: the caller chose them, and they are no secrets."""


class JsonRefusedError(ValueError):
    """Why a JSON text is refused, in words. Caught in this library."""


class InvalidValue:
    """Placeholder for an invalid value in JSON: only a reader that needs the value fails."""

    def __init__(self, found: str) -> None:
        self._found = found

    def __repr__(self) -> str:
        return self._found


def fits_a_header(secret: str) -> bool:
    """Whether a key or token can be sent; one that cannot is nobody's credential."""
    return secret.isascii() and secret.isprintable() and " " not in secret


def strict_object(text: str) -> dict[str, object]:
    """The JSON object in `text`, which must be valid throughout.

    Raises:
        JsonRefusedError: `text` is something else, or has a key twice, NaN, an infinity, or too many levels.
    """
    value, invalid = _parsed(text)
    if invalid:
        raise JsonRefusedError(repr(invalid[0]))
    if too_deep(value):
        raise JsonRefusedError("values nested too deeply")
    return value


def tolerant_object(text: str) -> dict[str, object]:
    """The JSON object in `text`, with a `InvalidValue` where an object has a key twice and where a number is none.

    How deep a part is nested is for the caller to ask: one part is no reason to refuse the others.

    Raises:
        JsonRefusedError: the text as a whole is something else.
    """
    value, _ = _parsed(text)
    return value


def too_deep(value: object) -> bool:
    """Whether `value` is nested more than `MAX_DEPTH` levels deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def shown(value: object) -> str:
    """`value` as it is shown in an error: one line, at most 80 characters."""
    text = repr(value) if isinstance(value, InvalidValue) else json.dumps(value, ensure_ascii=True, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


def _parsed(text: str) -> tuple[dict[str, object], list[InvalidValue]]:
    if sum(text.count(mark) for mark in ",[{") > MAX_VALUES:
        raise JsonRefusedError(f"more than {MAX_VALUES} values")
    invalid: list[InvalidValue] = []

    def mark(found: str) -> InvalidValue:
        invalid.append(InvalidValue(found))
        return invalid[-1]

    def read_object(pairs: list[tuple[str, object]]) -> object:
        result = dict(pairs)
        return result if len(result) == len(pairs) else mark(f"the key {shown(_twice(pairs))} twice")

    def read_float(digits: str) -> object:
        number = float(digits)
        return number if math.isfinite(number) else mark(f"{digits[:40]}, which is too large a number")

    def read_constant(name: str) -> object:
        return mark(f"{name}, which is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=read_object, parse_float=read_float, parse_constant=read_constant)
    except json.JSONDecodeError as exc:
        raise JsonRefusedError(f"{exc.msg} at line {exc.lineno}, column {exc.colno}") from None
    except RecursionError:
        raise JsonRefusedError("values nested too deeply") from None
    except ValueError:
        raise JsonRefusedError("a number of too many digits") from None
    if not isinstance(value, dict):
        raise JsonRefusedError(shown(value))
    return value, invalid


def _twice(pairs: list[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise ValueError("no key is there twice")


def printable(text: str) -> str:
    """`text` with control characters escaped, line feeds excepted."""
    return "".join(
        character if character == "\n" or character.isprintable() else ascii(character)[1:-1] for character in text
    )


def json_text(value: object) -> str:
    """`value` as JSON in one line: control characters are escaped, other letters stay as they are."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def one_line(text: object) -> str:
    """`text` on one line, with control characters escaped."""
    return printable(" ".join(str(text).split()))


def size_text(size: int) -> str:
    """`size` bytes as people read them: `7.3 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        # A number that would be rounded up to the next unit is already told in that one.
        if size >= factor * 0.99995:
            return f"{size / factor:,.1f} {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"


def without_query(model_id: str) -> str:
    """`model_id`; where it is a URL, without its query, which may be a signature, and with its fragment."""
    place, mark, fragment = model_id.partition("#")
    if "//" not in place.partition("?")[0]:
        return model_id
    return place.partition("?")[0] + mark + fragment


def plain(text: object) -> Text:
    """`text` as a line or table cell for rich: no markup is parsed, control characters are escaped."""
    from rich.text import Text  # noqa: PLC0415 - only needed to print

    return Text(printable("" if text is None else str(text)))


def shown_url(url: str) -> str:
    """`url` without user information, query and fragment; what was there is shown as `?...`."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "a malformed URL"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    path = parts.path if len(parts.path) <= _MAX_PATH else parts.path[:_MAX_PATH] + "..."
    text = f"{parts.scheme}://{host}{port}{path}" + ("?..." if parts.query else "")
    return "".join(character if character.isprintable() else "?" for character in text)


def without_secrets(text: str) -> str:
    """`text` as a person wrote it, but for the keys and passwords in addresses, whatever kind of address it is."""
    if "?" not in text and "@" not in text:
        return text
    return re.sub(_USER_OF_URL, rf"\1{HIDDEN}@", re.sub(_VALUE_TO_HIDE, rf"\1{HIDDEN}", text))


def scrub(text: str, secrets: Iterable[str] = (), *, urls: Iterable[str] = ()) -> str:
    """`text` with every secret hidden, in its percent-encoded form too, and every URL as `shown_url` shows it.

    Args:
        text: What somebody else wrote.
        secrets: Values of headers.
        urls: Addresses that were asked: every value of their queries is hidden, wherever it appears.
    """
    forms = {form for url in urls for form in _url_secrets(url)} | _forms(secrets)
    if forms:
        known = "|".join(_pattern(form) for form in sorted(forms, key=len, reverse=True))
        # Hexadecimal digits of percent-encoding come in both cases.
        text = re.sub(known, HIDDEN, text, flags=re.IGNORECASE)
    text = re.sub(_URL, lambda match: shown_url(match.group()), text)
    return re.sub(_QUERY, "?...", re.sub(_ENCODED_URL, HIDDEN, text))


def _pattern(form: str) -> str:
    """Where `form` is found: a short one as a word of its own only, for it is a part of many other words."""
    if len(form) >= _LONG:
        return re.escape(form)
    return rf"(?<!\w){re.escape(form)}(?!\w)"


def _forms(secrets: Iterable[str]) -> set[str]:
    import html  # noqa: PLC0415 - only where there are secrets

    forms: set[str] = set()
    for secret in secrets:
        for part in {secret, secret.rpartition(" ")[2]}:
            if part.strip():
                forms |= {part, quote(part, safe=""), quote_plus(part), html.escape(part)}
    return forms


def _url_secrets(url: str, *, depth: int = 3) -> set[str]:
    """Forms of the user information and the query values of `url`, and of the addresses that are such values."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return _forms([url])
    values = [parts.username or "", parts.password or ""]
    forms: set[str] = set()
    for part in parts.query.split("&"):
        name, _, value = part.partition("=")
        if value and not _may_be_shown(unquote_plus(name)):
            values += [value, unquote(value), unquote_plus(value)]
            forms.add(part)
    for name, value in pairs:
        if "?" in value and depth:
            forms |= _url_secrets(value, depth=depth - 1)
        if value and not _may_be_shown(name):
            forms.add(f"{name}={value}")
    return forms | _forms(values)


def _may_be_shown(name: str) -> bool:
    return name.lower() in _SHOWN_PARAMETERS
