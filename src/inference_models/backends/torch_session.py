"""What both backends that run in PyTorch share: the device, the threads, and a session around anything callable.

Feeds may be NumPy arrays or tensors. A tensor that lies on the session's device in the right number format is used as
it is; everything else is moved there. Answers are tensors on that device.

Outputs are flattened depth first: tuples and lists by position, dictionaries in their own order; what is None is left
out. They are called `output0`, `output1`, ... in that order; tensors of a dictionary that is the whole answer by its
keys.

Neither a TorchScript archive nor a module says which shapes it gives. Where the package states the size of its input,
one run with zeros, when the session is opened, tells; it costs about as much as the first prediction does anyway
(a second run, four times as large, where the package leaves the size open). Where it does not, usual sizes are tried;
of a network that takes none of them the first run tells, and until then `outputs` is empty.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from inference_models.arrays import ANY_SHAPE, TensorSpec, is_torch, to_torch
from inference_models.backends.runtime import error_text, first_line, import_runtime
from inference_models.backends.runtimes import OLDEST_TORCH, PYTORCH
from inference_models.backends.session import BaseSession, dtype_name, use_cpu_instead
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    ModelImplementationNotFoundError,
    ModelRuntimeError,
)
from inference_models.fork import was_used_before_fork
from inference_models.machine.hardware import cuda_device_visible, usable_cpus
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inference_models.arrays import Array, Shape
    from inference_models.backends.runtime import Runtime
    from inference_models.backends.session import InputHint, SessionRequest

BFLOAT16 = "bfloat16"
_FED_FLOAT32 = frozenset({BFLOAT16, "float64"})
"""Networks of these get float32: NumPy has no bfloat16, and no picture needs 64 bits."""
_TRIED_BATCH = 2
_USUAL_SIDES = (320, 640)
"""Of a network whose package names no size; most that take any size take the first, and twice that."""
_OUT_OF_MEMORY = "out of memory"
_log = logging.getLogger("inference-models")


def import_torch() -> Any:
    """The module `torch`, of a release that reads weights without running them.

    Raises:
        MissingDependencyError: it is not installed.
        EnvironmentConfigurationError: it cannot be imported, or is too old.
    """
    torch = import_runtime(PYTORCH)
    if Version(torch.__version__) >= OLDEST_TORCH:
        return torch
    raise EnvironmentConfigurationError(
        "reading a file with this release of PyTorch could run code that the file brings.",
        needs=PYTORCH.requires,
        found=str(torch.__version__),
        fix=f'pip install -U "{PYTORCH.requires}"',
    )


def prepare_device(request: SessionRequest, torch: Any) -> str:
    """`cpu`, `cuda:N` or `mps`: what was asked for, else the first CUDA device, else the CPU.

    On the CPU, this sets the threads of one run: those of the request, else as many as this process may use. PyTorch
    has one number for the whole process, so the model that was opened last decides for all of them. In a fork of a
    process that used PyTorch it is one thread.

    Raises:
        EnvironmentConfigurationError: PyTorch cannot use what was asked for, and `allow_fallback` is off.
    """
    # Where nothing was asked for and no device shows, the driver is left alone.
    may_be_there = request.device is not None or cuda_device_visible()
    cuda = torch.cuda.device_count() if may_be_there and torch.cuda.is_available() else 0
    found = [
        "cpu",
        *(f"cuda:{index}" for index in range(cuda)),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
    wanted = request.device or ("cuda" if cuda else "cpu")
    device = "cuda:0" if wanted == "cuda" else wanted
    if device not in found:
        where = "https://pytorch.org/get-started/locally"
        fix = f"device='cpu', or install the build of PyTorch for this machine: {where}"
        needs = f"device {wanted!r} in this build of PyTorch {torch.__version__}"
        use_cpu_instead(request, PYTORCH, found, needs=needs, fix=fix)
        device = "cpu"
    threads = 1 if was_used_before_fork(PYTORCH.label) else request.threads or usable_cpus()
    if device == "cpu" and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return device


class Network(Record, frozen=True):
    """Something callable on a device, and what is known about the tensors it takes."""

    call: Callable[..., Any]
    file_name: str
    """For error texts."""
    input_names: tuple[str, ...]
    device: str
    dtype: str
    """Number format of the weights as torch names it: `float32`, `float16`, `bfloat16`, `float64`."""
    stated: tuple[TensorSpec, ...] = ()
    """Its inputs, where more is known of them than the names."""
    modules: tuple[Any, ...] = ()
    """The modules that `call` uses; empty: it is one itself."""

    def specs(self, hint: InputHint | None) -> tuple[TensorSpec, ...]:
        """Inputs as far as they are known before a run; nothing is known of those that are no images."""
        if hint is None:
            return self.stated or tuple(TensorSpec(name, ANY_SHAPE, "any") for name in self.input_names)
        dtype = "float32" if self.dtype in _FED_FLOAT32 else self.dtype
        known = hint.shape if len(self.input_names) == 1 else None
        return tuple(TensorSpec(name, known or (None, None, None, None), dtype) for name in self.input_names)


def with_features(network: Network, torch: Any) -> Network:
    """`network` with what its last linear layer takes as a second output; the first are what that layer gives.

    Raises:
        ModelImplementationNotFoundError: it has no such layer, or, when it is run, its answer is not that of the layer.
    """
    modules = network.modules or (network.call,)
    layers = [part for module in modules for part in module.modules() if isinstance(part, torch.nn.Linear)]
    if not layers:
        raise _no_features(network, "no linear layer")
    of_this_thread = threading.local()
    layers[-1].register_forward_hook(lambda _, taken, given: vars(of_this_thread).update(seen=(*taken, given)))

    def call(*tensors: Array) -> dict[str, Array]:
        answer = network.call(*tensors)
        logits = answer["logits"] if isinstance(answer, dict) else answer
        features, given = vars(of_this_thread).pop("seen", (None, None))
        if given is not logits:
            raise _no_features(network, "a further step after it")
        return {"logits": logits, "features": features}

    return replace(network, call=call, modules=modules)


def _no_features(network: Network, found: str) -> ModelImplementationNotFoundError:
    return ModelImplementationNotFoundError(
        f"{network.file_name} gives no image embeddings, which are what goes into a last linear layer.",
        needs="a linear layer that gives the logits",
        found=found,
        fix="leave required_capabilities out",
    )


class TorchSession(BaseSession):
    """A network run by PyTorch without gradients. Keeps no state between runs.

    Under `torch.no_grad`: `torch.inference_mode` is not measurably faster here, and its tensors may neither be written
    to nor take part in training.
    """

    def __init__(
        self, network: Network, torch: Any, hint: InputHint | None = None, *, runtime: Runtime = PYTORCH
    ) -> None:
        self.runtime = runtime
        super().__init__(network, network.specs(hint), (), running_on=network.device)
        self.run_errors = (IndexError, RuntimeError, ValueError, torch.jit.Error)
        self._torch = torch
        self._device = torch.device(network.device)
        self._dtype = getattr(torch, network.dtype)
        if hint is not None and len(self.inputs) == 1:
            if hint.example is not None:
                self._learn(network, hint.example, certain=True)
            elif len(hint.shape) == 4:
                guesses = (tuple(given or side for given in hint.shape[1:]) for side in _USUAL_SIDES)
                any(self._learn(network, guess, certain=False) for guess in guesses)

    @property
    def network(self) -> Network:
        """What it runs, for those who write it in another format."""
        opened: Network = self._opened
        return opened

    def _run(self, opened: Network, arrays: Sequence[Array]) -> list[Array]:
        with self._torch.no_grad():
            tensors = [self._placed(feed) for feed in arrays]
            answer = opened.call(*tensors)
        answers = list(_flat(answer))
        if not all(map(is_torch, answers)):
            raise ModelRuntimeError(
                "the network answers with something that is no tensor.",
                needs="tensors, or tuples, lists and dictionaries of them",
                found=", ".join(sorted({type(answer).__name__ for answer in answers if not is_torch(answer)})),
            )
        if len(self.outputs) != len(answers):
            self.outputs = _specs(_names(answer, len(answers)), answers, [(None,) * tensor.ndim for tensor in answers])
        return [_on_own_memory(answer, tensors) for answer in answers]

    def _reason(self, exc: Exception) -> str:
        return reason_of(exc)

    def _opened_in_child(self, opened: Network) -> Network:
        # A fork has none of the threads that PyTorch believes to have, and a run that hands them work never ends.
        self._torch.set_num_threads(1)
        _log.warning("The model was loaded before this process was forked: it runs with one thread here.")
        return opened

    def _placed(self, feed: Array) -> Array:
        tensor = feed if is_torch(feed) else to_torch(feed)
        dtype = self._dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(self._device, dtype)

    def _learn(self, network: Network, example: tuple[int, ...], *, certain: bool) -> bool:
        """Inputs and outputs from runs with zeros; whether there were any, which of a `certain` example there are.

        1. Two images where the batch is open; a network that cannot take two takes one at a time.
        2. Twice the size where the size is open; a network that cannot take it takes the stated size alone.
        """
        (spec,) = self.inputs
        batch, sides = spec.shape[0], spec.shape[1:]
        answers = self._tried(network, (batch or _TRIED_BATCH, *example), required=certain and batch is not None)
        follow = bool(answers) and all(answer.ndim and len(answer) == _TRIED_BATCH for answer in answers)
        if batch is None and not follow:
            batch = 1
            answers = self._tried(network, (batch, *example), required=certain)
        if not answers:
            return False
        shapes = [tuple(answer.shape) for answer in answers]
        if None in sides:
            doubled = [given * 2 if side is None else given for side, given in zip(sides, example, strict=True)]
            others = [tuple(answer.shape) for answer in self._tried(network, (batch or 1, *doubled), required=False)]
            sides = sides if len(others) == len(shapes) else example
            shapes = [_common(*pair) for pair in zip(shapes, others, strict=True)] if None in sides else shapes
        self.inputs = (replace(spec, shape=(batch, *sides)),)
        stated = [(batch, *shape[1:]) if shape else () for shape in shapes]
        self.outputs = _specs([spec.name for spec in self.outputs], answers, stated)
        return True

    def _tried(self, network: Network, shape: tuple[int, ...], *, required: bool) -> list[Array]:
        try:
            return list(self._answers(network, [self._torch.zeros(shape, dtype=self._dtype, device=self._device)]))
        except ModelRuntimeError as exc:
            if _OUT_OF_MEMORY in (exc.found or ""):
                raise
            if not required:
                return []
            raise CorruptedModelPackageError(
                f"{network.file_name}: the network does not take the input that its package states.",
                needs=f"a network for {self.inputs[0].name} {shape} {self.inputs[0].dtype}",
                found=exc.found,
                fix="correct network_input and forward_pass in inference_config.json, or export the model again",
            ) from exc


def reason_of(exc: Exception) -> str:
    """The first sentence of what an error says; the last line where the interpreter of TorchScript shows a trace."""
    text = error_text(exc)
    if "TorchScript interpreter" in text:
        return text.splitlines()[-1].removeprefix("RuntimeError: ")[:300]
    return first_line(exc).split(". ")[0].rstrip(".")


def _flat(answer: object) -> Iterator[Array]:
    """Everything in nested tuples, lists and dictionaries, but None."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, tuple | list):
        for value in answer:
            yield from _flat(value)
    elif answer is not None:
        yield answer


def _on_own_memory(tensor: Array, feeds: Sequence[Array]) -> Array:
    """`tensor` in a number format NumPy has, and not in the memory of a feed, which the caller may write to again."""
    if str(tensor.dtype).endswith(BFLOAT16):
        return tensor.float()
    memory = tensor.untyped_storage().data_ptr()
    shared = any(memory == feed.untyped_storage().data_ptr() for feed in feeds)
    return tensor.clone() if shared else tensor


def _names(answer: object, count: int) -> list[str]:
    """What the tensors of an answer are called."""
    if isinstance(answer, dict):
        names = [str(key) for key, value in answer.items() if is_torch(value)]
        if len(names) == count:
            return names
    return [f"output{index}" for index in range(count)]


def _specs(names: Sequence[str], tensors: Sequence[Array], shapes: Sequence[Shape]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, shape, dtype_name(tensor)) for name, tensor, shape in zip(names, tensors, shapes, strict=True)
    )


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> Shape:
    """The axes that two answers share; None where they differ."""
    if len(one) != len(other):
        return one
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))
