"""`inference-models pull`: models into the cache, for a Dockerfile or before a flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from inference_models.cli.console import output
from inference_models.cli.sizes import megabytes

if TYPE_CHECKING:
    from inference_models.cache.package_key import PackageKey
    from inference_models.pull import Pulled

Models = Annotated[list[str], typer.Argument(help="Model ids, or provider:id.")]
Backend = Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")]
Quantization = Annotated[list[str] | None, typer.Option(help="Only this number format; may be repeated.")]
Package = Annotated[str | None, typer.Option(help="Only the package with this id.")]
EveryPackage = Annotated[
    bool, typer.Option("--every-package", help="All packages, for machines that differ from this one.")
]


def pull(
    models: Models,
    backend: Backend = None,
    quantization: Quantization = None,
    package: Package = None,
    every_package: EveryPackage = False,
    pin: Annotated[bool, typer.Option("--pin", help="`cache gc` never removes them to make room.")] = False,
) -> None:
    """Fetch MODELS and what they depend on into the cache, verified; loads nothing."""
    from inference_models.cache.store import PackageStore  # noqa: PLC0415 - not needed for --help

    for item in pull_all(models, backend, quantization, package, every_package):
        if pin:
            PackageStore().pin(item.key)
        stored = PackageStore().find(item.key)
        size = f", {megabytes(stored.size)} MB" if stored else ""
        note = "" if item.direct else "  (needed by another)"
        output().print(f"{item.model.model_id}: {item.package.get_summary()}{size}{note}", markup=False, soft_wrap=True)


def pull_all(
    models: list[str],
    backend: list[str] | None,
    quantization: list[str] | None,
    package: str | None,
    every_package: bool,
) -> list[Pulled]:
    """All models and their dependencies, each package once."""
    from inference_models.pull import PullOptions, pull_model  # noqa: PLC0415 - not needed for --help
    from inference_models.resolve.request import (  # noqa: PLC0415
        PackageRequest,
        parse_backends,
        parse_quantizations,
    )

    request = PackageRequest(
        package_id=package,
        backends=parse_backends(backend or None),
        quantizations=parse_quantizations(quantization or None),
    )
    options = PullOptions(request=request, every_package=every_package)
    pulled: dict[PackageKey, Pulled] = {}
    for model in models:
        for item in pull_model(model, options):
            known = pulled.get(item.key)
            pulled[item.key] = item if known is None or not known.direct else known
    return list(pulled.values())
