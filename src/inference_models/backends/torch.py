"""PyTorch: packages that hold nothing but weights, for a network that this library knows how to build.

The family of the architecture names a function that builds the `torch.nn.Module`; the package gives the values:
`weights.safetensors` (or `model.safetensors`) first, else `weights.pth` or `weights.pt`. The latter are pickles, read
by `torch.load(weights_only=True)` alone, which makes tensors and refuses everything else without running it.

Programs of `torch.export` (`weights.pt2`) are refused: `torch.export.load` of PyTorch 2.13 reads parts of them with
`pickle.loads` and `weights_only=False`, which runs whatever the file says.

Parameters must be finite: a NaN or infinity is refused when the weights are loaded, which reads every one of them once
(about 0.1 s per gigabyte). Tensors must be plain, so neither sparse, nested nor quantised, and of the kind of numbers
the network has: floating point of 16, 32 or 64 bits where it computes in floating point, else whole numbers.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pickle
import re
import struct
import warnings
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from inference_models.backends.runtimes import PYTORCH
from inference_models.backends.session import special_kind
from inference_models.backends.torch_session import (
    Network,
    TorchSession,
    import_torch,
    prepare_device,
    reason_of,
    with_features,
)
from inference_models.errors import (
    CorruptedModelPackageError,
    MissingDependencyError,
    ModelImplementationNotFoundError,
)
from inference_models.fork import Lock
from inference_models.package.checkpoint_file import WRAPPERS, facts_beside
from inference_models.package.hf_folder import safetensors_header

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference_models.arrays import Array
    from inference_models.backends.session import ModuleBuilder, SessionRequest

RUNTIME = PYTORCH
SAFE = ("weights.safetensors", "model.safetensors")
PICKLED = ("weights.pth", "weights.pt")
PROGRAM = "weights.pt2"
COUNTERS = ".num_batches_tracked"
"""Of batch normalisation, for training only; old files lack them."""
_FLOATING = ("float32", "float16", "bfloat16", "float64")
_WHOLE = ("int64", "int32", "int16", "int8", "uint8", "bool")
_SHOWN = 3
_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
"""First byte of what torch.save wrote before PyTorch 1.6."""
_REFUSED = r"GLOBAL ([\w.]+)"
_NOT_READ = r"WeightsUnpickler error: (.+)"
_loading = Lock()
"""While one reads, `argparse.Namespace`, which trainings save and which runs nothing, is allowed in the process."""
_READ_ERRORS = (AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What the reader of tensors raises for damaged files."""


def open_session(request: SessionRequest) -> TorchSession:
    """A network with the weights of the package.

    Sets the number of threads PyTorch uses in the whole process when it runs on the CPU.

    Raises:
        MissingDependencyError: PyTorch is not installed, or safetensors where the package needs it.
        CorruptedModelPackageError: the weights are damaged, not those of the architecture, or more than weights.
        ModelImplementationNotFoundError: the family has no network to put them into.
        EnvironmentConfigurationError: the device that was asked for cannot be used.
    """
    torch = import_torch()
    path = _weights_file(request)
    if request.module is None:
        raise ModelImplementationNotFoundError(
            f"{path.name}: this architecture cannot be built from weights alone.",
            needs="a family with a PyTorch module",
            found="one without",
            fix="export the model to ONNX or TorchScript, and load that",
        )
    device = prepare_device(request, torch)
    state, facts = read_weights(path, torch)
    module = build_module(partial(request.module, stated=facts), state, path=path, torch=torch)
    dtype = next((tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()), torch.float32)
    if dtype not in {torch.float32, torch.float16, torch.bfloat16}:
        module, dtype = module.float(), torch.float32
    network = Network(
        call=module.to(device),
        file_name=path.name,
        input_names=tuple(inspect.signature(module.forward).parameters),
        device=device,
        dtype=str(dtype).removeprefix("torch."),
    )
    network = with_features(network, torch) if request.further_outputs else network
    return TorchSession(network, torch, request.input_hint)


def build_module(builder: ModuleBuilder, state: Mapping[str, Array], *, path: Path, torch: Any) -> Any:
    """The network of `builder` with exactly the tensors of `state`, ready to answer.

    Raises:
        CorruptedModelPackageError: a tensor is missing, too many, of another shape or kind, or not finite.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    # On the device `meta` nothing is allocated or drawn at random: the values are replaced anyway.
    with torch.device("meta"):
        module = builder(shapes)
    left_out: frozenset[str] = getattr(module, "left_out", frozenset())
    shapes = {name: shape for name, shape in shapes.items() if name not in left_out}
    own = module.state_dict()
    parts: Mapping[str, Sequence[str]] = getattr(module, "names_in_files", None) or {name: (name,) for name in own}
    wanted = {name: _joined([tuple(own[part].shape) for part in names]) for name, names in parts.items()}
    state = {**state, **{name: torch.zeros((), dtype=torch.int64) for name in _absent_counters(wanted, shapes)}}
    _refuse_other_tensors(wanted, shapes, path)
    _refuse_other_numbers({name: own[names[0]] for name, names in parts.items()}, state, path)
    if any(name not in own for name, _ in module.named_buffers()):
        module = builder(shapes)  # it computes some of its tensors itself, which it cannot do on that device
    pieces = {name: state[name].chunk(len(parts[name])) if len(parts[name]) > 1 else (state[name],) for name in parts}
    own = {part: piece for name, names in parts.items() for part, piece in zip(names, pieces[name], strict=True)}
    module.load_state_dict(own, strict=True, assign=True)
    refuse_not_finite(module, path.name)
    return module.eval().requires_grad_(False)


def _joined(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of tensors, one below the other."""
    return shapes[0] if len(shapes) == 1 else (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _weights_file(request: SessionRequest) -> Path:
    handle = next((name for name in (*SAFE, *PICKLED) if name in request.files), None)
    if handle is not None:
        return request.files[handle]
    if PROGRAM in request.files:
        raise CorruptedModelPackageError(
            f"{PROGRAM}: programs of torch.export are not opened, because reading one can run code that it brings.",
            needs="weights alone, an ONNX graph or a TorchScript archive",
            found="an exported program",
            fix="torch.onnx.export(torch.export.load('weights.pt2'), f='weights.onnx'), if you trust the file",
        )
    raise CorruptedModelPackageError(
        "the package has no weights.",
        needs=" or ".join((*SAFE, *PICKLED)),
        found=", ".join(sorted(request.files)) or "no file",
        fix="fetch the package again, or add the missing file",
    )


def read_state(path: Path, torch: Any) -> dict[str, Array]:
    """The tensors of a file, as `read_weights` reads them."""
    return read_weights(path, torch)[0]


def read_weights(path: Path, torch: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors of a file by name, plain ones, in memory of their own; and what a training wrote beside them.

    Raises:
        CorruptedModelPackageError: it is damaged, or holds more than tensors.
        MissingDependencyError: safetensors is not installed, and needed.
    """
    import zipfile  # noqa: PLC0415 - of such files only

    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path, torch)
    facts = facts_beside(state)
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    state = _in_one(state) if isinstance(state, dict) else state
    if isinstance(state, dict) and state and all(torch.is_tensor(tensor) for tensor in state.values()):
        _refuse_special_tensors(state, path)
        if path.suffix != ".safetensors" and zipfile.is_zipfile(path):
            _refuse_claims(state, path)
        # The file is mapped into memory so far: whoever writes over it would change, or end, a model that runs.
        return {str(name): tensor.clone() for name, tensor in state.items()}, facts
    raise CorruptedModelPackageError(
        f"{path.name} holds something other than weights.",
        needs="tensors by name, as model.state_dict() gives them",
        found=_described(state),
        fix="torch.save(model.state_dict(), 'weights.pth')",
    )


def _in_one(state: Mapping[Any, Any]) -> dict[Any, Any]:
    """Tensors by name, those of a part of the network below its name."""
    flat: dict[Any, Any] = {}
    for name, value in state.items():
        is_part = isinstance(value, dict) and value and all(isinstance(key, str) for key in value)
        flat |= {f"{name}.{key}": tensor for key, tensor in value.items()} if is_part else {name: value}
    return flat


def _read_safetensors(path: Path) -> object:
    try:
        reader = importlib.import_module("safetensors.torch")
    except ImportError as exc:
        fix = 'pip install "safetensors>=0.4"'
        raise MissingDependencyError(
            f"{path.name} cannot be read here.", needs="safetensors>=0.4", found="not installed", fix=fix
        ) from exc
    damaged: type[Exception] = importlib.import_module("safetensors").SafetensorError
    safetensors_header(path)
    try:
        return reader.load_file(str(path))
    except (damaged, *_READ_ERRORS) as exc:
        raise _unreadable(path, reason_of(exc), needs="a safetensors file") from exc


def _read_pickle(path: Path, torch: Any) -> object:
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start != _ZIP and not start.startswith(_PICKLE):
        raise _unreadable(path, "an empty file" if not start else "a file of another kind")
    try:
        with _loading, warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore", UserWarning)
            # Files of before PyTorch 1.6 are no zip files and cannot be mapped into memory.
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=start == _ZIP)
    except pickle.UnpicklingError as exc:
        text = str(exc)
        found = re.search(_REFUSED, text) or re.search(_NOT_READ, text)
        raise CorruptedModelPackageError(
            f"{path.name} is refused: it is a pickle, and not of tensors alone. None of it was run.",
            needs="tensors, numbers, text, lists and dictionaries",
            found=found.group(1) if found else reason_of(exc),
            fix="save weights alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')",
        ) from exc
    except (*_READ_ERRORS, struct.error) as exc:
        raise _unreadable(path, reason_of(exc)) from exc


def _unreadable(path: Path, found: str, needs: str = "weights as torch.save writes them") -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name} cannot be read.", needs=needs, found=found, fix="fetch the package again"
    )


def _absent_counters(wanted: Mapping[str, object], given: Mapping[str, object]) -> list[str]:
    return [name for name in wanted if name.endswith(COUNTERS) and name not in given]


def _refuse_other_tensors(
    wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    refuse_other_tensors(
        missing=[name for name in wanted if name not in given and not name.endswith(COUNTERS)],
        unknown=[name for name in given if name not in wanted],
        other=[
            f"{name} {given[name]} instead of {shape}"
            for name, shape in wanted.items()
            if given.get(name, shape) != shape
        ],
        count=len(wanted),
        where=path.name,
    )


def refuse_other_tensors(
    *, missing: Sequence[str], unknown: Sequence[str], other: Sequence[str], count: int, where: str
) -> None:
    """Return when all lists are empty.

    Raises:
        CorruptedModelPackageError: names the first of each; a network needs `count` tensors.
    """
    parts = {"missing": missing, "unknown": unknown, "of another shape": other}
    if any(parts.values()):
        raise CorruptedModelPackageError(
            f"{where}: the weights are not those of the architecture.",
            needs=f"{count} tensors",
            found="; ".join(f"{len(names)} {what}: {_shortened(names)}" for what, names in parts.items() if names),
            fix="name the architecture these weights were trained with",
        )


def _refuse_special_tensors(state: Mapping[Any, Array], path: Path) -> None:
    for name, tensor in state.items():
        kind = special_kind(tensor)
        if kind is not None:
            raise _other_kind(path, needs="plain tensors", found=f"{name}, {kind}")


def _refuse_claims(state: Mapping[Any, Array], path: Path) -> None:
    """Storages are as large as the records of the file that hold them; a larger one would read what lies behind."""
    import zipfile  # noqa: PLC0415 - as above

    with zipfile.ZipFile(path) as archive:
        records = Counter(info.file_size for info in archive.infolist())
    storages = [tensor.untyped_storage() for tensor in state.values()]
    claimed = Counter({storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}.values())
    wrong = next(iter(claimed - records), None)
    if wrong is not None:
        raise _unreadable(path, f"a storage of {wrong} bytes, and no record of that size")


def _refuse_other_numbers(wanted: Mapping[str, Array], given: Mapping[str, Array], path: Path) -> None:
    for name, tensor in wanted.items():
        fitting = _FLOATING if tensor.is_floating_point() else _WHOLE
        dtype = str(given[name].dtype).removeprefix("torch.")
        if dtype not in fitting:
            raise _other_kind(path, needs=" or ".join(fitting), found=f"{name}, {dtype}")


def _other_kind(path: Path, *, needs: str, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name}: a weight is of a kind that the network cannot hold.",
        needs=needs,
        found=found,
        fix="save the weights as float32: torch.save(model.float().state_dict(), 'weights.pth')",
    )


def refuse_not_finite(module: Any, where: str) -> None:
    """Return when every parameter is a finite number.

    Raises:
        CorruptedModelPackageError: names the first others.
    """
    floating = ((name, tensor) for name, tensor in module.named_parameters() if tensor.is_floating_point())
    wrong = [name for name, tensor in floating if not bool(tensor.isfinite().all())]
    if wrong:
        raise CorruptedModelPackageError(
            f"{where}: weights are NaN or infinite.",
            needs="finite numbers",
            found=f"{len(wrong)} tensors with others: {_shortened(wrong)}",
            fix="fetch the package again, or take a checkpoint from before the training diverged",
        )


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _described(value: object) -> str:
    if not isinstance(value, dict):
        return f"a {type(value).__name__}"
    return f"a dictionary of {_shortened([str(name) for name in value])}" if value else "an empty dictionary"
