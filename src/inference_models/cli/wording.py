"""Advice in the words of the command line: arguments of a Python call become options."""

from __future__ import annotations

import ast
import re
import shlex

from inference_models.errors import OTHER_NAMES
from inference_models.options import OPTION_NAMES

OPTIONS = {
    "allow_local_code_packages": "--allow-code",
    "allow_untrusted_packages": "--allow-untrusted",
    "api_key": "--api-key",
    "backend": "--backend",
    "batch_size": "--batch-size",
    "class_filter": "--class-filter",
    "confidence": "--confidence",
    "device": "--device",
    "disabled_backends": "--disabled-backend",
    "image_size": "--image-size",
    "input_size": "--input-size",
    "iou_threshold": "--iou-threshold",
    "labels": "--labels",
    "model_package_id": "--package",
    "model_type": "--family",
    "onnx_execution_providers": "--execution-provider",
    "quantization": "--quantization",
    "task_type": "--task",
}
"""Argument of a load or of a call -> option."""
_IN_PYTHON = re.compile(r" ?\(on the command line [^)\n]*\)")
_VALUE = r"\"[^\"\n]*\"|'[^'\n]*'|\[[^\]\n]*\]|\{[^}\n]*\}|\([^)\n]*\)|[\w.:-]+"
_ARGUMENT = re.compile(
    rf"(?<![\w-])(?P<name>{'|'.join(sorted(OPTIONS.keys() | OPTION_NAMES))})=(?!auto\b)(?P<value>{_VALUE})"
    r"(?P<others>(?: or \"[^\"\n]*\")*)"
)
_NAME = rf"(?:{'|'.join(OPTIONS)})"
_MENTION = re.compile(rf"(?<=\bneeds ){_NAME}(?: and {_NAME})*(?=;)|(?<=\bleave ){_NAME}(?= out)|^{_NAME}(?=: )", re.M)


def in_options(text: str) -> str:
    """`text` with every argument of a Python call as the option that sets it."""
    text = text.replace(", a list of names or a text file", ", or a text file with the names,")
    text = _MENTION.sub(lambda found: " and ".join(map(OPTIONS.__getitem__, found[0].split(" and "))), text)
    return _ARGUMENT.sub(_as_option, _IN_PYTHON.sub("", text))


def other_name(argument: str) -> str | None:
    """The option that is meant by `argument`, where it is a name that other programs give it."""
    name = argument.partition("=")[0]
    meant = OTHER_NAMES.get(name.removeprefix("--").replace("-", "_")) if name.startswith("--") else None
    return meant and OPTIONS.get(meant)


def _as_option(found: re.Match[str]) -> str:
    name, text = found["name"], found["value"]
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = text
    option = OPTIONS.get(name)
    if option is None:
        return f"--set {name}={text.lower() if isinstance(value, bool) else shlex.quote(str(value))}"
    if value is True:
        return option
    if isinstance(value, tuple):
        value = "x".join(map(str, value))
    stated = " ".join(f"{option} {shlex.quote(str(each))}" for each in (value if isinstance(value, list) else [value]))
    return stated + found["others"].replace('"', "")
