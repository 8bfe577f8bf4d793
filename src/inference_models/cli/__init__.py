"""The command line, `inference-models`: one file per group of commands."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress

import inference_models

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
_OVERWRITTEN = (
    "this command belongs to inference-models-lean, and the product inference-models was installed over it.\n"
    "pip uninstall -y inference-models inference-models-lean, then install the one you want again\n"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if getattr(inference_models, "DISTRIBUTION", None) is None:
        sys.stderr.write(_OVERWRITTEN)
        return FAILED
    _open_streams()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        if isinstance(sys.stdout, _Nowhere) and sys.stdout.written:
            return _unwritten(OSError(errno.EBADF, "standard output is closed"))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # typer and rich end without a word
            return _unwritten(exc.__context__)
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except OSError as exc:
        if exc.filename is not None:
            raise
        return _unwritten(exc)
    if code == INTERRUPTED:
        sys.stderr.write("interrupted\n")
    return code


class _Nowhere(io.TextIOWrapper):
    """Stands in for a closed output, so that the work is done all the same; knows whether a result was lost."""

    written = False

    def write(self, text: str) -> int:
        self.written = True
        return super().write(text)


def _unwritten(cause: OSError) -> int:
    """The disk that the output goes to is full, or whoever reads it is gone."""
    with suppress(OSError, ValueError):  # what is left in the buffer would fail once more when the process ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with suppress(OSError):
        sys.stderr.write(f"error: the output cannot be written: {cause.strerror or cause}\n")
    return FAILED


def _run(arguments: list[str]) -> int:
    import typer  # noqa: PLC0415 - loaded when a command runs

    from inference_models.cli.app import app  # noqa: PLC0415 - typer is loaded when a command runs
    from inference_models.cli.console import USAGE_ERROR, report_error, report_usage  # noqa: PLC0415
    from inference_models.errors import BaseInferenceModelsError  # noqa: PLC0415 - may be of another product

    as_json = "--json" in arguments
    try:
        code = app(args=arguments, prog_name="inference-models", standalone_mode=False)
    except BaseInferenceModelsError as exc:
        report_error(exc, as_json=as_json)
        return FAILED
    except typer.Abort:
        raise KeyboardInterrupt from None
    except USAGE_ERROR as exc:
        report_usage(exc, as_json=as_json)
        return WRONG_USAGE
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Give the program streams that take any text."""
    # Closed, as daemons and pythonw do.
    sys.stdout, sys.stderr = (stream or _Nowhere(open(os.devnull, "wb")) for stream in (sys.stdout, sys.stderr))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # File names and class names may hold letters that the terminal's encoding does not know.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
