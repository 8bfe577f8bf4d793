"""Bytes and times as people read them."""

from __future__ import annotations

from datetime import datetime

import typer

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def counted(number: int, noun: str) -> str:
    """`1 package`, `2 packages`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def megabytes(size: int) -> str:
    """`size` bytes in MB."""
    return f"{size / 1e6:,.1f}"


def day(seconds: float) -> str:
    """The day of a time in seconds since the epoch, here."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d")


def parse_size(text: str) -> int:
    """Bytes in a text such as `20GB`.

    Raises:
        BadParameter: the text is no size.
    """
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text.strip()[len(number) :].strip().lower()
    if number.replace(".", "", 1).isdecimal() and unit in _UNITS:
        return int(float(number) * _UNITS[unit])
    raise typer.BadParameter(f"{text!r} is no size; write for example 500MB or 20GB")
