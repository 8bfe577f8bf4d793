"""TorchScript: archives in `weights.torchscript`, run by the interpreter inside PyTorch, without Python code.

An archive is a program, and reading one can already run it: who calls this has made sure that it may run (see
`inference_models.package.formats.needs_consent`). Checked against PyTorch 2.13.

PyTorch marks TorchScript as deprecated and still reads it; its warning is for those who write archives, so it is not
passed on.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

from inference_models.backends.runtimes import TORCH_SCRIPT
from inference_models.backends.torch_session import (
    Network,
    TorchSession,
    import_torch,
    prepare_device,
    reason_of,
)
from inference_models.errors import CorruptedModelPackageError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import SessionRequest

RUNTIME = TORCH_SCRIPT
WEIGHTS = "weights.torchscript"
_DTYPES = {"torch.bfloat16": "bfloat16", "torch.float16": "float16"}


def open_session(request: SessionRequest) -> TorchSession:
    """An opened archive.

    Sets the number of threads PyTorch uses in the whole process when it runs on the CPU.

    Raises:
        MissingDependencyError: PyTorch is not installed, or torchvision, whose operators the archive needs.
        CorruptedModelPackageError: the file is no archive, or does not run on what the package states.
        EnvironmentConfigurationError: the device that was asked for cannot be used.
    """
    torch = import_torch()
    path = request.file(WEIGHTS)
    device = prepare_device(request, torch)
    module = _load(path, device, torch)
    network = Network(
        call=module,
        file_name=path.name,
        input_names=_input_names(module, path),
        device=device,
        dtype=_dtype(module),
    )
    return TorchSession(network, torch, request.input_hint)


def _load(path: Path, device: str, torch: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)  # PyTorch 2.15: of archives as such
            module = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as exc:
        if "torchvision::" in str(exc) and sys.modules.get("torchvision") is None:
            _import_torchvision()  # registers its operators
            return _load(path, device, torch)
        raise CorruptedModelPackageError(
            f"{path.name}: PyTorch {torch.__version__} cannot open the archive.",
            needs="an archive that torch.jit.save of this version of PyTorch or an older one wrote",
            found=reason_of(exc),
            fix=f'export the model again, or pip install -U "{RUNTIME.requires}"',
        ) from exc
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def _input_names(module: Any, path: Path) -> tuple[str, ...]:
    # The first one is the module, whatever the author called it.
    arguments = [item for item in module.forward.schema.arguments[1:] if not item.has_default_value()]
    if arguments and all(str(item.type) == "Tensor" for item in arguments):
        return tuple(item.name for item in arguments)
    raise CorruptedModelPackageError(
        f"{path.name}: the network does not take tensors alone.",
        needs="a forward method that takes one or more tensors",
        found=", ".join(f"{item.name}: {item.type}" for item in arguments) or "one that takes nothing",
        fix="export the model so that its forward method takes a batch of images as one tensor",
    )


def _dtype(module: Any) -> str:
    """Number format of the first weight; float32 for archives whose weights became constants of the code."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return _DTYPES.get(str(tensor.dtype), "float32")
    return "float32"


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except ImportError as exc:
        raise MissingDependencyError(
            "this TorchScript package cannot run here: it uses operators of torchvision.",
            needs="torchvision",
            found="not installed",
            fix="pip install torchvision",
        ) from exc
