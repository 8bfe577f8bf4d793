"""`inference-models manifest DIR`: write the `manifest.json` of a folder of packages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli.console import tell


def manifest(
    directory: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder with <id>/<package>/, or a package per <id>/.")
    ],
) -> None:
    """Write DIRECTORY/manifest.json, which lists its packages with the hash of every file, for a bucket or web server.

    Licence, source and description that you have added to an earlier one are kept.
    """
    from inference_models.package.manifest import FILE_NAME  # noqa: PLC0415 - not needed for --help
    from inference_models.registry.manifest_writer import write_manifest  # noqa: PLC0415

    written = write_manifest(directory)
    for model_id, model in written.models.items():
        packages = ", ".join(package.package_id for package in model.packages)
        licence = model.license or "no licence stated"
        tell(f"{model_id}  {packages}  {licence}")
    tell(f"wrote {directory / FILE_NAME}")
