"""`AutoModel`: one line from a model id to an object that predicts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models import config
from inference_models.loading.address import LOCAL, LoadRequest, parse_address
from inference_models.negotiate.request import build_request, parse_device, parse_execution_providers
from inference_models.options import LoadOptions, merge_options
from inference_models.record import replace
from inference_models.tasks.stages import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from inference_models.arrays import ArrayKind
    from inference_models.entities import BackendType, Quantization
    from inference_models.loading.attempt import LoadSteps
    from inference_models.loading.offline import OfflineArtefactVerification, OfflineModelStatus
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.report import NegotiationReport

Loaded = TypeVar("Loaded")


class AutoModel:
    """Loads models. Has no instances: `AutoModel.from_pretrained` returns the model itself."""

    @classmethod
    def from_pretrained(  # noqa: PLR0913 - the ten arguments of the public interface
        cls,
        model_id_or_path: str | os.PathLike[str],
        weights_provider: str | None = None,
        api_key: str | None = None,
        model_package_id: str | None = None,
        backend: str | BackendType | Sequence[str | BackendType] | None = None,
        batch_size: int | tuple[int, int] | None = None,
        quantization: str | Quantization | Sequence[str | Quantization] | None = None,
        onnx_execution_providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        device: object = None,
        *,
        options: LoadOptions | None = None,
        **kwargs: Any,
    ) -> Any:
        """The model, on the package and backend that fit this machine best.

        Args:
            model_id_or_path: an id of the open catalogue ("centerface"), `provider:id`, or a path: a package
                folder or a bare `.onnx` file ("./best.onnx", "local:runs/best").
            weights_provider: the provider to ask; None: the id says it.
            api_key: passed to the provider.
            model_package_id: only this package.
            backend: only these backends.
            batch_size: batches the caller will send, a number or (smallest, largest).
            quantization: only these number formats.
            onnx_execution_providers: ONNX Runtime execution providers in order, by name or (name, options).
            device: "cpu", "cuda", "cuda:1" or a torch device; None: the best there is.
            options: the rarer options.
            **kwargs: fields of `LoadOptions` by name; a package with code of its own also gets what it knows itself.

        Raises:
            ModelNotFoundError: no provider knows the id; the text names the nearest.
            NoCompatiblePackageError: nothing of it can run here; the text says why and what would help.
            ModelLoadingError: the package is damaged, contradicts itself, or brings code that was not allowed.
            InvalidParameterError: an argument is unknown or has a value that makes no sense.
        """
        from inference_models.loading.attempt import load_model  # noqa: PLC0415 - imported when a model is loaded

        load, environment = _prepare(
            options,
            kwargs,
            model_package_id=model_package_id,
            backend=backend,
            batch_size=batch_size,
            quantization=quantization,
            onnx_execution_providers=onnx_execution_providers,
            device=device,
        )
        address = parse_address(model_id_or_path, weights_provider, api_key=api_key)
        steps, merged = _steps(load.options, cls.from_pretrained), load.options
        is_watched = merged.model_access_manager is not None or merged.point_model_directory is not None
        if is_watched and address.provider != LOCAL:
            from inference_models.loading.access import load_watched  # noqa: PLC0415 - rarely needed

            return load_watched(address, load, environment, steps, api_key=api_key)
        return load_model(address, load, environment, steps, api_key=api_key)

    @classmethod
    def from_module(  # noqa: PLR0913 - what a package says in its files
        cls,
        module: torch.nn.Module,
        architecture: str,
        task: str | None = None,
        *,
        labels: Sequence[str] | str | os.PathLike[str] | None = None,
        inference_config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        input_size: int | tuple[int, int] | None = None,
        device: object = None,
        arrays: ArrayKind | None = None,
    ) -> Any:
        """A network in memory as a model, with the answers that an export of it would give.

        The module is used as it is, where it is: neither copied, moved nor converted, and what a training changes in it
        shows in the next call. It runs without gradients, and in evaluation mode, after which every part of it is in
        the mode it was in. `close()` of the model lets go of it, and does nothing else to it.

        Args:
            module: Takes (B, 3, H, W) images, and answers as an export of the architecture does: tensors, or a
                dictionary of them as Transformers and DETR give it.
            architecture: Whose outputs they are, for example "yolov8" or "rfdetr"; `docs/models.md` lists them.
            task: For example "object-detection"; None: that of the architecture, where it does one, else detection.
            labels: Class names in the order of the training: a list, the path of a text file with one per line, "coco",
                "imagenet" or "voc".
            inference_config: Pre-processing and post-processing, as `inference_config.json` of a package states them
                (`docs/packages.md`): a mapping, or the path of such a file. None: that of a bare file of the
                architecture.
            input_size: Without `inference_config`: network size in pixels, or (height, width); None: that of the family
                where it has one.
            device: A check: where the module has to lie, such as "cuda". None: wherever it does.
            arrays: Kind of array predictions hold, "numpy" or "torch"; None: torch.

        Raises:
            InvalidParameterError: an argument has a value that makes no sense.
            MissingModelInitParameterError: nobody says what the classes are called, or which task it is.
            CorruptedModelPackageError: the module does not take, or give, what the architecture says.
            ModelImplementationNotFoundError: no family handles the architecture, or it is made of several networks.
            EnvironmentConfigurationError: the module lies on another device than `device`.
        """
        from inference_models.loading.from_module import load_module  # noqa: PLC0415 - not needed to load a package

        return load_module(
            module,
            architecture=architecture,
            task=task,
            inference_config=inference_config,
            device=parse_device(device),
            options=LoadOptions(labels=labels, input_size=input_size, arrays=arrays),
        )

    @classmethod
    def from_lock(
        cls,
        path: str | os.PathLike[str],
        model_id: str | None = None,
        *,
        mirror: str | None = None,
        api_key: str | None = None,
        device: object = None,
        onnx_execution_providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        options: LoadOptions | None = None,
        **kwargs: Any,
    ) -> Any:
        """Exactly the model that a lock file pins; uses no network when its files are in the cache.

        Args:
            path: What `inference-models lock` wrote.
            model_id: Which of its models; not needed when it pins one.
            mirror: `provider:id` that has the same files; None: the provider the lock names.
            api_key: Passed to the provider.
            device: As for `from_pretrained`.
            onnx_execution_providers: As for `from_pretrained`.
            options: The rarer options.
            **kwargs: Fields of `LoadOptions` by name.

        Raises:
            CorruptedModelPackageError: it is no lock file.
            ModelRetrievalError: the pinned bytes cannot be had.
        """
        from inference_models.freeze.from_lock import load_locked  # noqa: PLC0415 - rarely needed
        from inference_models.freeze.lockfile import read_lock, warn_about_runtimes  # noqa: PLC0415

        merged, extra = merge_options(options, kwargs)
        named = parse_device(device if device is not None else config.default_device())
        providers = parse_execution_providers(onnx_execution_providers)
        load = LoadRequest(options=merged, device=named, execution_providers=providers, extra=extra)
        lock = read_lock(os.fspath(path))
        warn_about_runtimes(lock)
        return load_locked(lock, lock.find(model_id), load, mirror=mirror, api_key=api_key)

    @classmethod
    def explain(
        cls,
        model_id_or_path: str | os.PathLike[str],
        weights_provider: str | None = None,
        api_key: str | None = None,
        *,
        options: LoadOptions | None = None,
        **kwargs: Any,
    ) -> NegotiationReport:
        """What `from_pretrained` would do with the same arguments, why, and why not something else.

        Asks the provider what there is. Nothing is downloaded, opened or measured, and nothing of the model is written;
        libraries that nobody has tried yet are tried in child processes. That nothing fits is no error:
        `report.would_run` is None then, and `report.steps` says what would help.

        Args:
            model_id_or_path: As for `from_pretrained`, like all the others.
            weights_provider: The provider to ask.
            api_key: Passed to the provider.
            options: The rarer options.
            **kwargs: Every other argument of `from_pretrained`, by name.

        Raises:
            ModelNotFoundError: no provider knows the id.
            ModelRetrievalError: the provider cannot be asked.
            InvalidParameterError: an argument is unknown or has a value that makes no sense.
        """
        from inference_models.reports import explain_model  # noqa: PLC0415 - not needed to load

        chosen = {name: kwargs.pop(name) for name in _CHOICES if name in kwargs}
        load, environment = _prepare(options, kwargs, explain=True, **chosen)
        address = parse_address(model_id_or_path, weights_provider, api_key=api_key)
        return explain_model(address, load, environment, api_key=api_key)

    @classmethod
    def list_offline_models(cls) -> list[OfflineModelStatus]:
        """Every model of the cache, with its packages and whether their files are here."""
        from inference_models.loading.offline import offline_models  # noqa: PLC0415 - not needed to load

        return offline_models()

    @classmethod
    def verify_offline_model(cls, model_id: str, check_hashes: bool = False) -> list[OfflineArtefactVerification]:
        """Every file of the packages of a model, and whether it is in the cache; [] when nothing is known of it.

        Args:
            model_id: As it was asked for, or as its provider calls it.
            check_hashes: Also read every file and compare its hash.
        """
        from inference_models.loading.offline import verify_offline_model  # noqa: PLC0415 - not needed to load

        return verify_offline_model(model_id, check_hashes=check_hashes)

    @classmethod
    def describe_model(
        cls,
        model_id: str | os.PathLike[str],
        weights_provider: str | None = None,
        api_key: str | None = None,
        pull_artefacts_size: bool = False,  # noqa: ARG003 - the sizes that the provider announces are always there
        weights_provider_extra_query_params: Sequence[tuple[str, str]] | None = None,
        weights_provider_extra_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Print what a model is, its licence and source, and which of its packages run here.

        Args:
            model_id: As for `from_pretrained`, like all the others.
            weights_provider: The provider to ask.
            api_key: Passed to the provider.
            pull_artefacts_size: Changes nothing: the announced sizes are shown, and nobody is asked for others.
            weights_provider_extra_query_params: Sent along with the question.
            weights_provider_extra_headers: Sent along with the question.

        Raises:
            ModelNotFoundError: no provider knows the id.
        """
        from rich.console import Console  # noqa: PLC0415 - only needed to print

        options = LoadOptions(
            weights_provider_extra_query_params=weights_provider_extra_query_params,
            weights_provider_extra_headers=weights_provider_extra_headers,
        )
        cls.explain(model_id, weights_provider, api_key, options=options).render(Console())

    @classmethod
    def describe_model_package(
        cls,
        model_id: str | os.PathLike[str],
        package_id: str,
        weights_provider: str | None = None,
        api_key: str | None = None,
        pull_artefacts_size: bool = True,  # noqa: ARG003 - as above
        weights_provider_extra_query_params: Sequence[tuple[str, str]] | None = None,
        weights_provider_extra_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Print one package of a model: how it was made, its files, and whether it runs here.

        The arguments are those of `describe_model`, and the id of the package.

        Raises:
            ModelNotFoundError: no provider knows the id.
            NoModelPackagesAvailableError: the model has no such package; the text names the nearest.
        """
        from rich.console import Console  # noqa: PLC0415 - only needed to print

        options = LoadOptions(
            weights_provider_extra_query_params=weights_provider_extra_query_params,
            weights_provider_extra_headers=weights_provider_extra_headers,
        )
        cls.explain(model_id, weights_provider, api_key, options=options).render_package(package_id, Console())

    @classmethod
    def describe_compute_environment(cls) -> None:
        """Print what was found out about this machine."""
        from rich.console import Console  # noqa: PLC0415 - only needed to print

        from inference_models.doctor.examine import examine, render  # noqa: PLC0415

        render(examine(), Console())


_CHOICES = ("backend", "batch_size", "device", "model_package_id", "onnx_execution_providers", "quantization")


def _prepare(
    options: LoadOptions | None, given: dict[str, Any], *, explain: bool = False, **chosen: Any
) -> tuple[LoadRequest, Environment]:
    """The request and the machine. `chosen` holds arguments of `from_pretrained`."""
    from inference_models.backends import probe_environment  # noqa: PLC0415 - as above

    merged, extra = merge_options(options, given)
    wanted = build_request(merged, **chosen)
    providers = chosen.get("onnx_execution_providers")
    load = LoadRequest(
        options=merged,
        wanted=wanted,
        device=wanted.device,
        execution_providers=None if providers is None else tuple(providers),
        extra=extra,
    )
    return load, probe_environment(thorough=explain)


def _steps(options: LoadOptions, load_dependency: Callable[..., Any]) -> LoadSteps:
    """What the load takes from measured choice and from parity, where the caller or an earlier measurement wants it."""
    from inference_models.loading.attempt import LoadSteps  # noqa: PLC0415 - as above

    steps = LoadSteps(load_dependency=load_dependency)
    measured = config.cache_directory() / config.MEASUREMENTS
    if options.select == "measured" or (options.select == "auto" and os.path.isdir(measured)):  # noqa: PTH112 - no error
        from inference_models.measure.select import select_plans  # noqa: PLC0415 - rarely needed

        steps = replace(steps, select=select_plans)
    if options.require_parity:
        from inference_models.parity.require import certify_load  # noqa: PLC0415 - rarely needed

        steps = replace(steps, certify=certify_load)
    return steps


def load_as(kind: type[Loaded], model: str | os.PathLike[str], **kwargs: Any) -> Loaded:
    """The model behind an id, a path or a lock file, which must be of the class `kind`.

    Raises:
        InvalidParameterError: it is of another class.
    """
    from inference_models.catalogue import open_catalogue  # noqa: PLC0415 - only for the class of a task
    from inference_models.loading.dependencies import close_models  # noqa: PLC0415
    from inference_models.loading.describe import other_model  # noqa: PLC0415
    from inference_models.tasks import find_task, known_tasks  # noqa: PLC0415

    path = Path(model)
    is_path = kwargs.get("weights_provider") is None and os.path.exists(path)  # noqa: PTH110 - False for any other text
    if is_path and path.suffix == ".lock":
        loaded = AutoModel.from_lock(path, model_class=kind, **kwargs)
    elif is_path and os.fspath(model) not in open_catalogue().models:
        loaded = AutoModel.from_pretrained(path.absolute(), model_class=kind, **kwargs)
    else:
        loaded = AutoModel.from_pretrained(model, model_class=kind, **kwargs)
    if isinstance(loaded, kind):
        return loaded
    close_models([loaded])
    models = (find_task(name).model for name in known_tasks())
    actual = next((base for base in models if isinstance(loaded, base)), type(loaded))
    raise other_model(os.fspath(model), kind, actual)


LoadedModel.load_as = load_as
