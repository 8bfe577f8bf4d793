"""Commands that mend: a library that cannot be imported, missing libraries of CUDA, in the words of this shell."""

from __future__ import annotations

import os
import re

DOCTOR = "inference-models doctor"
"""The advice where no command is known to help."""
_POWERSHELL = os.name == "nt"
THEN = "; " if _POWERSHELL else " && "
"""Between two commands of one line; PowerShell before version 7 knows no `&&`."""
_WHEELS = {
    "libcublas": "cublas",
    "libcublasLt": "cublas",
    "libcudart": "cuda-runtime",
    "libcudnn": "cudnn",
    "libcufft": "cufft",
    "libcurand": "curand",
    "libcusolver": "cusolver",
    "libcusparse": "cusparse",
    "libnvJitLink": "nvjitlink",
    "libnvrtc": "cuda-nvrtc",
}
"""What NVIDIA calls the wheel of a library, without `nvidia-` and the release of CUDA."""
_SYSTEM_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
}
_MISSING = r"(lib[\w+.-]+\.so(?:\.\d+)*): cannot open shared object file"
_OF_CUDA = r"(lib(?:cublas|cublasLt|cudart|nvrtc|nvJitLink))\.so\.(\d+)"
"""Libraries that carry the release of CUDA in their name; the others count for themselves."""
_HIDING = r" \(imported from (.+)\)$"


def set_variable(name: str, value: str, *, powershell: bool = _POWERSHELL) -> str:
    """The command that sets an environment variable in the shell at hand."""
    return f'$env:{name} = "{value}"' if powershell else f"export {name}={value}"


def unset_variable(name: str, *, powershell: bool = _POWERSHELL) -> str:
    """The command that takes an environment variable away in the shell at hand."""
    return f"Remove-Item Env:{name}" if powershell else f"unset {name}"


def imported_from(problem: str, place: str) -> str:
    """A problem of a library whose module is hidden by another one, which lies at `place`."""
    return f"{problem} (imported from {place})"


def mend_of(label: str, problem: str) -> str:
    """The command that most likely makes a library importable again.

    Args:
        label: Name and version of its distribution, for example `onnxruntime-gpu 1.23.0`.
        problem: What happened when it was imported.
    """
    name, _, version = label.partition(" ")
    public = version.partition("+")[0]
    hiding = re.search(_HIDING, problem)
    if hiding:
        return f"rename {hiding[1]}, or take {os.path.dirname(hiding[1])} off the import path"  # noqa: PTH120
    missing = re.search(_MISSING, problem)
    if missing and missing[1] in _SYSTEM_PACKAGES:
        return f"apt-get install -y {_SYSTEM_PACKAGES[missing[1]]}"
    if missing and (wheels := cuda_wheels([missing[1]])):
        return f"pip install {' '.join(wheels)}"
    if problem.endswith("SIGILL"):
        # The build uses instructions this processor lacks; older builds were made for older processors.
        return f'pip install "{name}<{public}"'
    if "did not end within" in problem:
        return DOCTOR
    return f"pip install --force-reinstall --no-deps {name}=={public}"


def cuda_wheels(sonames: list[str], cuda: int | None = None) -> list[str]:
    """The wheels that bring these libraries, sorted; empty where none is known to.

    Args:
        sonames: For example `libcublas.so.12`.
        cuda: Major release of CUDA; None: the one that a library among `sonames` names, else 12.
    """
    stated = [int(found[2]) for name in sonames if (found := re.fullmatch(_OF_CUDA, name))]
    release = cuda or next(iter(stated), 12)
    names = {_WHEELS[stem] for name in sonames if (stem := name.partition(".so")[0]) in _WHEELS}
    return sorted(_wheel(name, release) for name in names)


def _wheel(name: str, cuda: int) -> str:
    """Since CUDA 13 the wheels of CUDA itself carry no release in their name; cuDNN has its own releases."""
    return f"nvidia-{name}" if cuda >= 13 and name != "cudnn" else f"nvidia-{name}-cu{cuda}"
