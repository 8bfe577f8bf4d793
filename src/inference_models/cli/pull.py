"""`inference-models pull`: models into the cache, for a Dockerfile or before a flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import report_error, say, tell
from inference_models.cli.sizes import megabytes
from inference_models.errors import BaseInferenceModelsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.cache.manifest import PackageKey
    from inference_models.freeze.pull import PulledPackage, PullOptions


def pull(
    models: arguments.Models,
    *,
    how: ModelOptions,
    every_package: arguments.EveryPackage = False,
    pin: Annotated[bool, typer.Option("--pin", help="`cache gc` never removes them to make room.")] = False,
) -> None:
    """Fetch MODELS and what they depend on into the cache, verified; loads nothing.

    Goes on after a model that cannot be had, and exits with 1 then.
    """
    options = how.pull_options(every_package=every_package)
    failed: list[str] = []

    def report(model: str, error: BaseInferenceModelsError) -> None:
        failed.append(model)
        report_error(error)

    for item in pull_all(models, options, on_failure=report):
        _say(item, pin=pin)
    if failed and len(models) > 1:
        text = f"{len(failed)} of {len(models)} models failed: {', '.join(failed)}"
        tell(text)
    if failed:
        raise typer.Exit(1)


def pull_all(
    models: list[str],
    options: PullOptions,
    *,
    on_failure: Callable[[str, BaseInferenceModelsError], None] | None = None,
) -> list[PulledPackage]:
    """All models and their dependencies, each package once.

    Args:
        models: Their ids.
        options: Which packages.
        on_failure: Gets the id, without what must not be shown, and the error of each model that cannot be had; None:
            the first such error is raised.
    """
    from inference_models.freeze.pull import pull_model  # noqa: PLC0415 - not needed for --help
    from inference_models.text import without_query  # noqa: PLC0415

    pulled: dict[PackageKey, PulledPackage] = {}
    for model in models:
        try:
            items = pull_model(model, options)
        except BaseInferenceModelsError as exc:
            if on_failure is None:
                raise
            on_failure(without_query(model), exc)
            continue
        for item in items:
            known = pulled.get(item.key)
            pulled[item.key] = item if known is None or not known.direct else known
    return list(pulled.values())


def _say(item: PulledPackage, *, pin: bool) -> None:
    from inference_models.cache.store import PackageStore  # noqa: PLC0415 - not needed for --help

    store = PackageStore()
    if pin:
        store.pin(item.key)
    stored = store.find(item.key)
    size = f", {megabytes(stored.size)} MB" if stored else ""
    note = "" if item.direct else "  (needed by another)"
    say(f"{item.model.model_id}: {item.package.get_summary()}{size}{note}")
