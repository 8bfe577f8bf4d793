"""`inference-models bundle`: models in one file, from a machine with a network to one without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli.console import messages, output
from inference_models.cli.pull import Backend, EveryPackage, Models, Package, Quantization, pull_all
from inference_models.cli.sizes import megabytes
from inference_models.errors import FileHashSumMissmatch

bundle = typer.Typer(help="Carry models to machines without a network.", no_args_is_help=True, rich_markup_mode=None)


@bundle.command("export")
def export(
    models: Models,
    target: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The file to write.")],
    backend: Backend = None,
    quantization: Quantization = None,
    package: Package = None,
    every_package: EveryPackage = False,
) -> None:
    """Write MODELS, with what they depend on, their licences and a lock, to one file."""
    from inference_models.bundle import export_bundle  # noqa: PLC0415 - not needed for --help
    from inference_models.cache.digest import file_sha256  # noqa: PLC0415

    pulled = pull_all(models, backend, quantization, package, every_package)
    for item in pulled:
        if item.model.license is None:
            messages().print(f"{item.model.model_id}: no licence is stated", markup=False, soft_wrap=True)
    export_bundle(pulled, target)
    output().print(f"{target}: {len(pulled)} packages, {megabytes(target.stat().st_size)} MB", soft_wrap=True)
    output().print(f"sha256 {file_sha256(target)}", soft_wrap=True)


@bundle.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file `bundle export` wrote.")],
    sha256: Annotated[str | None, typer.Option(help="Refuse any other file than the one with this hash.")] = None,
) -> None:
    """Verify FILE and put its models into the cache; they load without a network from then on."""
    from inference_models.bundle import import_bundle  # noqa: PLC0415 - not needed for --help
    from inference_models.cache.digest import file_sha256  # noqa: PLC0415

    if sha256 is not None and (found := file_sha256(file)) != sha256.lower():
        raise FileHashSumMissmatch(
            f"{file} is another file.", needs=f"sha256 {sha256.lower()}", found=f"sha256 {found}"
        )
    for package in import_bundle(file):
        output().print(
            f"{package.provider}:{package.asked_for}  package {package.package_id}", markup=False, soft_wrap=True
        )
