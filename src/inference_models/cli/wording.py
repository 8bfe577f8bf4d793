"""Advice in the words of the command line: arguments of a Python call become options."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

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
_PIP = re.compile(r"(?<![\w-])(?<!uv )(?<!-m )pip (?P<verb>install|uninstall -y)\b")
_VALUE = r"\"[^\"\n]*\"|'[^'\n]*'|\[[^\]\n]*\]|\{[^}\n]*\}|\([^)\n]*\)|[\w.:-]+"
_ARGUMENT = re.compile(
    rf"(?<![\w-])(?P<name>{'|'.join(sorted(OPTIONS.keys() | OPTION_NAMES))})=(?!auto\b)(?P<value>{_VALUE})"
    r"(?P<others>(?: or \"[^\"\n]*\")*)"
)
_NAME = rf"(?:{'|'.join(OPTIONS)})"
_SEVERAL = rf"{_NAME}(?: and {_NAME})*"
_MENTION = re.compile(
    rf"(?<=\bneeds ){_SEVERAL}(?=;)|(?<=\bleave ){_SEVERAL}(?= out)"
    rf"|^{_NAME}(?=: | means | cannot )|\b{_NAME}=(?= )",
    re.M,
)


def in_options(text: str) -> str:
    """`text` with every argument of a Python call as the option that sets it."""
    text = text.replace(", a list of names or a text file", ", or a text file with the names,")
    text = _MENTION.sub(lambda found: " and ".join(OPTIONS[name.rstrip("=")] for name in found[0].split(" and ")), text)
    return own_pip(_ARGUMENT.sub(_as_option, _IN_PYTHON.sub("", text)))


def own_pip(text: str) -> str:
    """`text` with commands of pip for the environment of this program, where the shell's `pip` is another one's."""
    return _PIP.sub(_of_this_environment, text) if "pip " in text else text


def _of_this_environment(found: re.Match[str]) -> str:
    of_shell = shutil.which("pip")
    if of_shell is not None and Path(of_shell).parent == Path(sys.executable).parent:
        return found[0]
    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip {found['verb'].replace(' -y', '')} --python {python}"
    return f"{python} -m pip {found['verb']}"


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
