"""Checks of what this release can run and decode, and of the capabilities and exports a caller takes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from inference_models.backends import find_backend
from inference_models.entities import BackendType, PackageSourceType
from inference_models.errors import ModelImplementationNotFoundError
from inference_models.families import Graph, canonical_name, find_graph
from inference_models.negotiate.nms_fusion import FEATURE, USUAL, FusionWish, read_settings, settings_as_wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.errors import Rejection
    from inference_models.negotiate.checks import Case

CAPABILITIES: Mapping[str, frozenset[tuple[str, BackendType]]] = {"image_embeddings": frozenset()}
"""What `required_capabilities` may name, with the architectures and runtimes of this release that give it."""


def check_implementation(case: Case) -> Rejection | None:
    """Refuses runtimes, architectures and tasks that nothing in this release, and no plug-in, can run."""
    if case.package.backend is BackendType.CUSTOM:
        return None
    if find_backend(case.runtime) is None:
        return case.refuse("implementation", f"a backend for {case.runtime.value}", "none in this release")
    graph = _graph(case.model.model_architecture, case.model.task_type or "")
    if not isinstance(graph, str):
        if case.runtime is not BackendType.TORCH or graph.module is not None:
            return None
        # A package of this format is weights alone, of a network that has to be built here.
        needs = f"the network of {case.model.model_architecture} in PyTorch"
        return case.refuse("implementation", needs, "none in this release")
    task = case.model.task_type or "a task (model_config.json names none)"
    return case.refuse("implementation", f"a family for {case.model.model_architecture} that does {task}", graph)


def check_features(case: Case) -> Rejection | None:
    """Refuses packages with features that the decoders of this release do not know."""
    stated = case.package.model_features
    if not stated or case.package.backend is BackendType.CUSTOM:
        return None
    graph = _graph(case.model.model_architecture, case.model.task_type or "")
    if isinstance(graph, str):
        return None
    unknown = sorted(name for name in stated if name not in known_features(graph))
    if not unknown:
        return None
    known = " and ".join(known_features(graph)) or "nothing of the kind"
    found = f"that of {case.model.model_architecture}, which knows {known}"
    return case.refuse("features", f"a decoder for {' and '.join(unknown)}", found)


def check_capabilities(case: Case) -> Rejection | None:
    """Refuses what cannot do everything in `required_capabilities`."""
    if not case.request.required_capabilities:
        return None
    what = canonical_name(case.model.model_architecture), case.runtime
    missing = [name for name in case.request.required_capabilities if what not in CAPABILITIES.get(name, ())]
    if not missing:
        return None
    found = f"{case.model.model_architecture} on {case.runtime.value}, which does not give it in this release"
    return case.refuse("capabilities", " and ".join(missing), found)


def check_nms_fusion(case: Case) -> Rejection | None:
    """Refuses exports that hold non-maximum suppression, unless `nms_fusion_preferences` takes their settings."""
    features = case.package.model_features
    if not features or FEATURE not in features:
        return None
    wish = case.request.nms_fusion
    # There is no choice to make for a file of the caller's own, nor for a package the caller names.
    chosen = case.is_named or case.package.package_source is PackageSourceType.LOCAL_CACHE
    if chosen and (wish is None or (wish is True and features[FEATURE] is True)):
        return None
    return _refuse_fusion(case, wish, features[FEATURE])


def known_features(graph: Graph) -> tuple[str, ...]:
    """Names of the features of packages that the decoders of `graph` can deal with."""
    return () if getattr(graph, "fused", None) is None else (FEATURE,)


def _refuse_fusion(case: Case, wish: bool | FusionWish | None, feature: object) -> Rejection | None:
    settings = read_settings(feature)
    if settings is None:
        found = "an export with it inside, which does not say with which settings"
        by_name = None if wish else {"package_id": case.package.package_id}
        return case.refuse("nms_fusion", _wanted(wish), found, change=by_name)
    if not wish:
        found = f"an export with it inside ({_listed(settings)})"
    else:
        missed = (USUAL if wish is True else wish).misses(settings)
        if not missed:
            return None
        found = _listed({name: settings[name] for name in missed})
    exactly = settings_as_wish(settings) if USUAL.misses(settings) else True
    return case.refuse("nms_fusion", _wanted(wish), found, change={"nms_fusion": exactly})


def _wanted(wish: bool | FusionWish | None) -> str:
    if not wish:
        return "an export without non-maximum suppression"
    return "suppression with " + _listed((USUAL if wish is True else wish).stated())


def _listed(settings: Mapping[str, object]) -> str:
    spans = {
        name: "..".join(map(str, value)) if isinstance(value, tuple) else value for name, value in settings.items()
    }
    return ", ".join(f"{name} {value}" for name, value in spans.items())


@lru_cache(maxsize=64)
def _graph(architecture: str, task: str) -> Graph | str:
    """How it is run, or why it is not. Looked up once and not for each of the packages of a model."""
    try:
        return find_graph(architecture, task)
    except ModelImplementationNotFoundError as exc:
        return exc.summary.rstrip(".")
