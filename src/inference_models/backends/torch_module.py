"""A `torch.nn.Module` that the caller has built, as a session: used where it lies and as it is, without a copy.

While it runs, every part of it is in evaluation mode; afterwards each is in the mode it was in before, so that a
network can be looked at between two steps of its training. Runs of several threads share the evaluation mode.

Of an answer with names, as networks of the DETR kind and of Transformers give it, the predictions are kept:
`HEADS` and what is called `pred_...`; states and further outputs for the training are left out.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from inference_models.backends.hugging_face_parts import HEADS
from inference_models.backends.torch_session import Network, TorchSession
from inference_models.errors import EnvironmentConfigurationError, InvalidParameterError
from inference_models.fork import Lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from inference_models.arrays import Array
    from inference_models.backends.session import InputHint

_AT_MOST = 3
"""Names of parameters that are shown."""


def open_module(
    module: Any, torch: Any, *, device: str | None, hint: InputHint, further_inputs: Sequence[str]
) -> TorchSession:
    """A session around `module`, which is neither copied nor moved; closing it drops the reference alone.

    Args:
        module: Takes images, then `further_inputs`, by position.
        torch: The library.
        device: Where the caller says that it lies; None: wherever it does.
        hint: What is known of its images.
        further_inputs: Names of what it takes besides them.

    Raises:
        InvalidParameterError: it is no module, or has no values.
        EnvironmentConfigurationError: it lies on another device.
        CorruptedModelPackageError: it does not take the images of `hint`.
    """
    if not isinstance(module, torch.nn.Module):
        raise InvalidParameterError(
            "there is no network to use.", needs="a torch.nn.Module", found=f"a {type(module).__name__}"
        )
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    empty = [name for name, tensor in tensors.items() if tensor.is_meta]
    if empty:
        raise InvalidParameterError(
            "the network has no values yet.",
            needs="parameters on a device",
            found=f"on the device meta: {', '.join(empty[:_AT_MOST])}",
            fix="load its weights first: module.load_state_dict(state, assign=True)",
        )
    place = next((str(tensor.device) for tensor in tensors.values()), device or "cpu")
    if device not in {None, place, place.partition(":")[0]}:
        raise EnvironmentConfigurationError(
            f"device {device!r} was chosen, but the network lies on {place!r}, and it is not moved.",
            needs=f"a network on {device}",
            found=place,
            fix=f"module.to({device!r}), or leave device out",
        )
    floating = (tensor.dtype for tensor in module.parameters() if tensor.is_floating_point())
    return TorchSession(
        Network(
            call=_Evaluated(module),
            file_name=type(module).__name__,
            input_names=(_first_parameter(module), *further_inputs),
            device=place,
            dtype=str(next(floating, torch.float32)).removeprefix("torch."),
        ),
        torch,
        hint,
    )


def _first_parameter(module: Any) -> str:
    try:
        return next(iter(inspect.signature(module.forward).parameters), "images")
    except ValueError:  # a script of PyTorch says nothing of them
        return "images"


class _Evaluated:
    """Calls a module in evaluation mode, and gives the predictions of its answer."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._mode = _EvaluationMode(module)

    def __call__(self, *tensors: Array) -> object:
        with self._mode:
            answer = self._module(*tensors)
        kept = _predictions(answer) if isinstance(answer, dict) else {}
        return kept or answer


def _predictions(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in answer.items()
        if value is not None and (name in HEADS or str(name).startswith("pred_"))
    }


class _EvaluationMode:
    """While anything runs, all parts of a module are in evaluation mode; then those that were not are so no more.

    The flag alone is set: `train()` of some networks does more, such as taking layers apart that it had joined.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lock = Lock()
        self._runs = 0
        self._trained: list[Any] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._runs:
                self._trained = [part for part in self._module.modules() if part.training]
                for part in self._trained:
                    part.training = False
            self._runs += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._runs -= 1
            if not self._runs:
                for part in self._trained:
                    part.training = True
