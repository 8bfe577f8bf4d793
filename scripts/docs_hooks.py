"""What the documentation needs beyond Markdown."""

from __future__ import annotations

import re

_CODE = re.compile(r"<code>([^<]+)</code>")
_HYPHENATED = re.compile(r"[^\s/]*\w-\w[^\s/]*|--[^\s/]+")


def on_page_content(html: str, **_: object) -> str:
    """Keep the words of code in one piece: browsers break lines after a hyphen."""
    return _CODE.sub(lambda code: f"<code>{_HYPHENATED.sub(_whole, code[1])}</code>", html)


def _whole(word: re.Match[str]) -> str:
    return f'<span class="whole">{word[0]}</span>' if len(word[0]) < 40 else word[0]
