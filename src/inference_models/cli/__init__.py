"""The command line, `inference-models`: one file per group of commands."""

from __future__ import annotations

import io
import os
import sys

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
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as exc:
        ended = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        return _interrupted() if ended == INTERRUPTED else ended
    except OSError as exc:  # ours are told by now: a stream is full, or nobody reads it any more
        _abandon(sys.stdout)
        sys.stderr.write(f"error: the output cannot be written: {exc.strerror or exc}\n")
        return FAILED
    return code


def _interrupted() -> int:
    sys.stderr.write("interrupted\n")
    return INTERRUPTED


def _run(arguments: list[str]) -> int:
    from inference_models.cli.app import app  # noqa: PLC0415 - typer is loaded when a command runs
    from inference_models.cli.console import USAGE_ERROR, report_error, report_usage  # noqa: PLC0415
    from inference_models.errors import BaseInferenceModelsError  # noqa: PLC0415 - may be of another product

    as_json = "--json" in arguments
    try:
        code = app(args=arguments, prog_name="inference-models", standalone_mode=False)
    except BaseInferenceModelsError as exc:
        report_error(exc, as_json=as_json)
        return FAILED
    except USAGE_ERROR as exc:
        report_usage(exc, as_json=as_json)
        return WRONG_USAGE
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Give the program streams that take any text: `>&-` leaves it without one, and a terminal may know few letters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for the whole program
        elif isinstance(stream, io.TextIOWrapper):
            # File names and class names may hold letters that the terminal's encoding does not know.
            stream.reconfigure(errors="backslashreplace")


def _abandon(stream: object) -> None:
    """Keep the interpreter from writing what is left, which would fail again while it ends."""
    if isinstance(stream, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
