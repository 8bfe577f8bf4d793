"""Transformers: folders that `save_pretrained` writes, `config.json` with `model.safetensors`, whole or in shards.

The class that the configuration names is built by Transformers and gets the weights that this library has read, so
nothing is fetched and nothing of the repository runs: `auto_map` (code), `quantization_config` and kernels that a
configuration asks for by name are refused or left out. `pytorch_model.bin`, a pickle, is read as tensors alone, and
only where there is no safetensors file. A package may hold a backbone in a folder of its own and a linear layer on its
first token beside it (`vit/` and `classifier_layer_weights.pth`), whose answer is `logits`. Checked against
transformers 5.24 and PyTorch 2.13.

The network takes images alone; what else it accepts keeps the value that Transformers gives it. Of its answer only the
heads are handed on, under Transformers' own names (`logits`, `pred_boxes`, `predicted_depth`, ...). Where a family
names parts of the network by role, each has a session of its own, and all of them share the weights.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inference_models.arrays import ANY_SHAPE
from inference_models.backends.hugging_face_parts import find_part
from inference_models.backends.runtime import import_runtime
from inference_models.backends.runtimes import HUGGING_FACE
from inference_models.backends.torch import COUNTERS, read_state, refuse_not_finite, refuse_other_tensors
from inference_models.backends.torch_session import (
    Network,
    TorchSession,
    import_torch,
    prepare_device,
    reason_of,
    with_features,
)
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    MissingDependencyError,
    ModelImplementationNotFoundError,
)
from inference_models.fork import Lock
from inference_models.package.formats import HF_CONFIG as CONFIG
from inference_models.package.text_files import parse_json_object, read_text
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inference_models.arrays import Array
    from inference_models.backends.session import InputHint, SessionRequest

RUNTIME = HUGGING_FACE
WEIGHTS, PICKLE = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"
LAYER = "classifier_layer_weights.pth"
POOLER = "pooler."
"""Parameters of backbones that nothing here reads, and that may be missing."""
_LEFT_OUT = re.compile(r"_?attn_implementation|_?experts_implementation|use_kernels|kernel_config")
"""Keys that choose how something is computed, kernels of the Hub among them; Transformers chooses what it has."""
_REFUSED = {"auto_map": "code of its own", "quantization_config": "quantised weights"}
_COUNTS = re.compile(r"num_(\w+_)?(layers|blocks|stages)|(\w+_)?layers|depths?")
"""Keys that say how often a part is repeated."""
_TIMM = "timm_backbone"
_FEATURES = {"features_only": True, "use_pretrained_backbone": False, "out_indices": [1, 2, 3, 4]}
"""What the DETR family takes of a timm network that is named alone."""
_SLACK = 1 << 20
_quiet = Lock()


def open_session(request: SessionRequest) -> TorchSession:
    """A network of Transformers with the weights of the package.

    Sets the number of threads PyTorch uses in the whole process when it runs on the CPU.

    Raises:
        MissingDependencyError: PyTorch or Transformers is not installed, or what this network needs beside them.
        CorruptedModelPackageError: the weights are damaged, or not those that the configuration describes.
        ModelImplementationNotFoundError: this release of Transformers has no such class, or the package needs code.
        EnvironmentConfigurationError: the device that was asked for cannot be used.
    """
    torch, transformers = import_torch(), import_runtime(RUNTIME)
    if isinstance(request.beside, PartSession):
        return request.beside.part(request.role)
    device = prepare_device(request, torch)
    layer = read_state(request.files[LAYER], torch) if LAYER in request.files else None
    request = request if layer is None else _backbone_of(request)
    path = request.file(CONFIG)
    stated = _cleaned(parse_json_object(read_text(path, where=CONFIG), where=CONFIG))
    state = _read_weights(request, torch)
    network = _network(_class_of(stated, transformers), stated, state, transformers, torch)
    dtype = next((tensor.dtype for tensor in network.parameters() if tensor.is_floating_point()), torch.float32)
    network = network.to(device).eval().requires_grad_(False)
    part, modules = find_part(network, request.role), [network]
    if layer is not None:
        linear = _linear(layer, network, torch)
        part, modules = replace(part, call=_with_layer(network, linear)), [network, linear]
    opened = Network(
        call=part.call,
        file_name=CONFIG,
        input_names=tuple(spec.name for spec in part.inputs),
        device=device,
        dtype=str(dtype).removeprefix("torch."),
        stated=part.inputs,
        modules=tuple(modules),
    )
    opened = with_features(opened, torch) if request.further_outputs else opened
    known = part.inputs[0].shape != ANY_SHAPE
    return PartSession(network, opened, torch, None if known else request.input_hint)


class PartSession(TorchSession):
    """A network, or a part of it, which can give sessions of other parts."""

    def __init__(self, network: Any, opened: Network, torch: Any, hint: InputHint | None) -> None:
        super().__init__(opened, torch, hint, runtime=RUNTIME)
        self._network = network

    def part(self, role: str | None) -> TorchSession:
        """A session of the part of the same network that has this role."""
        part = find_part(self._network, role)
        names = tuple(spec.name for spec in part.inputs)
        opened = replace(self._opened, call=part.call, input_names=names, stated=part.inputs)
        return PartSession(self._network, opened, self._torch, None)

    def close(self) -> None:
        """Drop the network."""
        super().close()
        self._network = None


def _with_layer(network: Any, linear: Any) -> Callable[[Array], dict[str, Array]]:
    """The network with a linear layer on its first token."""

    def call(images: Array) -> dict[str, Array]:
        return {"logits": linear(network(pixel_values=images).last_hidden_state[:, 0])}

    return call


def _backbone_of(request: SessionRequest) -> SessionRequest:
    """The files of the folder inside a package that has the configuration, by their names there."""
    folder = next((handle.removesuffix(CONFIG) for handle in request.files if handle.endswith(f"/{CONFIG}")), "")
    inside = {handle.removeprefix(folder): path for handle, path in request.files.items() if handle.startswith(folder)}
    return replace(request, files=inside)


def _linear(state: Mapping[str, Array], network: Any, torch: Any) -> Any:
    """The linear layer with the weights in `state`, where `network` is."""
    weight, bias = state.get("weight"), state.get("bias")
    if weight is None or bias is None or weight.shape != (len(bias), network.config.hidden_size):
        raise CorruptedModelPackageError(
            f"{LAYER} is not the layer of this network.",
            needs=f"weight (classes, {network.config.hidden_size}) and bias (classes)",
            found=", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())[:200],
        )
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    return layer.to(network.device, network.dtype).requires_grad_(False)


def _cleaned(stated: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what would fetch or choose code, at every depth.

    Raises:
        ModelImplementationNotFoundError: it needs code, or weights in a format of its own.
    """
    for key, what in _REFUSED.items():
        if stated.get(key):
            raise ModelImplementationNotFoundError(
                f"{CONFIG}: the model needs {what}, which is not loaded from a folder of weights.",
                needs=f"a configuration without {key}",
                found=f"{key}: {ascii(stated[key])[:80]}",
                fix="export the model to ONNX, and load that",
            )
    kept = {name: value for name, value in stated.items() if not _LEFT_OUT.fullmatch(name)}
    if kept.get("use_pretrained_backbone"):
        kept["use_pretrained_backbone"] = False  # the weights are here; they would be fetched to be replaced
    if isinstance(kept.get("backbone"), str) and not kept.get("backbone_config") and kept.get("model_type") != _TIMM:
        kept = _with_backbone(kept)
    return {name: _cleaned(value) if isinstance(value, dict) else value for name, value in kept.items()}


def _with_backbone(stated: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the backbone that it names written out, which Transformers would look for on the Hub.

    Raises:
        ModelImplementationNotFoundError: it is that of a repository.
    """
    name, further = stated["backbone"], stated.get("backbone_kwargs") or {}
    if "/" in name or stated.get("use_timm_backbone") is False:
        raise ModelImplementationNotFoundError(
            f"{CONFIG}: the backbone is described in another repository, which is not asked.",
            needs="backbone_config, or a backbone of timm",
            found=f"backbone: {ascii(name)[:80]}",
            fix="load the network with Transformers and save it again: network.save_pretrained(folder)",
        )
    kept = {key: value for key, value in stated.items() if key not in {"backbone", "backbone_kwargs"}}
    stride = {"output_stride": 16} if stated.get("dilation") else {}
    return {**kept, "backbone_config": {"model_type": _TIMM, "backbone": name, **_FEATURES, **stride, **further}}


def _class_of(stated: Mapping[str, Any], transformers: Any) -> Any:
    names = stated.get("architectures")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    found = getattr(transformers, name, None) if name.isidentifier() else None
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    raise ModelImplementationNotFoundError(
        f"{CONFIG}: Transformers {transformers.__version__} has no network of that name.",
        needs="architectures: one class of Transformers",
        found=ascii(name or names)[:80],
        fix=f'pip install -U "{RUNTIME.requires}", or export the model to ONNX, and load that',
    )


def _read_weights(request: SessionRequest, torch: Any) -> dict[str, Array]:
    index = f"{WEIGHTS}{INDEX}"
    if WEIGHTS in request.files or index not in request.files:
        handle = PICKLE if PICKLE in request.files and WEIGHTS not in request.files else WEIGHTS
        return read_state(request.file(handle), torch)
    places = parse_json_object(read_text(request.file(index), where=index), where=index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise CorruptedModelPackageError(f"{index} names no files.", needs="weight_map: a file for each tensor")
    state: dict[str, Array] = {}
    for handle in sorted(set(places.values())):
        part = read_state(request.file(handle), torch)
        wanted = {name for name, place in places.items() if place == handle}
        if wanted != set(part):
            odd = min(wanted ^ set(part))
            raise CorruptedModelPackageError(
                f"{index} is not that of these files.",
                needs=f"{odd!a} in {places.get(odd, 'no file')}",
                found=f"{handle} {'without' if odd in wanted else 'with'} it",
                fix="fetch the package again",
            )
        state |= part
    return state


def _network(kind: Any, stated: dict[str, Any], state: dict[str, Array], transformers: Any, torch: Any) -> Any:
    """The network, with exactly the tensors of `state` where it has parameters."""
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    _refuse_many_layers(stated, len(state))
    with _without_chatter(transformers):
        try:
            config = kind.config_class.from_dict(stated)
            _refuse_large(kind, config, state, torch)
            network, report = kind.from_pretrained(
                None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
            )
        except ImportError as exc:
            raise _lacks(exc) from exc
        except BaseInferenceModelsError:
            raise
        except Exception as exc:  # Transformers and huggingface_hub refuse values with classes of their own
            raise CorruptedModelPackageError(
                f"{CONFIG}: Transformers {transformers.__version__} cannot build the network.",
                needs=f"the configuration of {kind.__name__}",
                found=reason_of(exc),
            ) from exc
    others = {name: (tuple(theirs), tuple(ours)) for name, theirs, ours in report["mismatched_keys"]}
    refuse_other_tensors(
        missing=[name for name in report["missing_keys"] if name not in others and not name.startswith(POOLER)],
        unknown=[name for name in report["unexpected_keys"] if not name.endswith(COUNTERS)],
        other=[f"{name} {theirs} instead of {ours}" for name, (theirs, ours) in others.items()],
        count=len(given),
        where=WEIGHTS,
    )
    refuse_not_finite(network, WEIGHTS)
    return network


def _refuse_large(kind: Any, config: Any, state: Mapping[str, Array], torch: Any) -> None:
    """Parameters that no file gives are made up first, whatever their size, and refused only then."""
    with torch.device("meta"):  # where nothing is allocated
        claimed = sum(tensor.numel() for tensor in kind(config).parameters())
    held = sum(tensor.numel() for tensor in state.values())
    if claimed > 2 * held + _SLACK:
        raise CorruptedModelPackageError(
            f"{CONFIG} does not describe these weights.", needs=f"{claimed:,} parameters", found=f"{held:,}"
        )


def _refuse_many_layers(stated: Mapping[str, Any], tensors: int) -> None:
    """A network has at least one tensor per layer; building more of them than that could go on for ever."""
    for name, value in stated.items():
        counts = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            _refuse_many_layers(value, tensors)
        elif _COUNTS.fullmatch(name) and any(isinstance(item, int) and item > tensors for item in counts):
            raise CorruptedModelPackageError(
                f"{CONFIG} does not describe these weights.",
                needs=f"{name} of at most {tensors}, the number of tensors in {WEIGHTS}",
                found=ascii(value)[:80],
            )


def _lacks(exc: ImportError) -> MissingDependencyError:
    needed = next((name for name in ("timm", "torchvision", "scipy", "natten") if name in str(exc)), None)
    return MissingDependencyError(
        "this network needs a library that Transformers does not bring.",
        needs=needed or "what Transformers names",
        found=reason_of(exc),
        fix=f"pip install {needed}" if needed else None,
    )


@contextmanager
def _without_chatter(transformers: Any) -> Iterator[None]:
    """Without progress bars and advice on training, which Transformers writes to the terminal."""
    with _quiet:
        texts, logger = transformers.utils.logging, logging.getLogger("transformers")
        bars, level = texts.is_progress_bar_enabled(), logger.level
        texts.disable_progress_bar()
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)
            if bars:
                texts.enable_progress_bar()
