"""`inference-models cache`: what is stored on this machine, whether it is sound, and how to get rid of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from inference_models.cli.console import output, report_error, say, tell
from inference_models.cli.sizes import counted, day, megabytes, parse_size
from inference_models.errors import EnvironmentConfigurationError, ModelNotFoundError, nearest_hint
from inference_models.files.regular import unreadable
from inference_models.text import plain

if TYPE_CHECKING:
    from inference_models.cache.inventory import StoredPackage
    from inference_models.cache.store import PackageStore

cache = typer.Typer(
    help="Look at, check and clean the models stored here.", no_args_is_help=True, rich_markup_mode=None
)
Model = Annotated[str, typer.Argument(help="Model id as `cache ls` shows it, or provider:id.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


@cache.command("dir")
def directory() -> None:
    """Print the folder of the cache."""
    typer.echo(_store().root)


@cache.command("ls")
def ls(as_json: AsJson = False) -> None:
    """List the stored packages, last used first, with their sizes."""
    store = _store()
    packages = store.packages()
    denied = [unreadable(place, store.root) for place in store.unreadable()]
    for error in denied:
        report_error(error)
    if as_json:
        _print_json([_facts(package) for package in packages])
        raise typer.Exit(1 if denied else 0)
    from rich.table import Table  # noqa: PLC0415 - only needed to print

    table = Table("model", "package", "provider", "MB", "stored", "last used", "kept")
    for package in packages:
        key = package.key
        times = day(package.stored_at), day(package.last_used)
        table.add_row(
            plain(key.model_id),
            plain(key.package_id),
            plain(key.provider),
            megabytes(package.size),
            *times,
            "pinned" if package.pinned else "",
        )
    output().print(table)
    output().print(f"{counted(len(packages), 'package')}, {megabytes(sum(package.size for package in packages))} MB")
    raise typer.Exit(1 if denied else 0)


@cache.command("info")
def info(model: Model, as_json: AsJson = False) -> None:
    """Show the files of MODEL with their hashes, and where they lie."""
    found = _find(_store(), model)
    if as_json:
        _print_json([_facts(package) for package in found])
        return
    for package in found:
        key = package.key
        say(f"{key.provider}:{key.model_id}  package {key.package_id}")
        say(f"  {package.folder}")
        for file in package.files:
            say(f"  {file.sha256}  {file.size:>12,}  {file.handle}")


@cache.command("verify")
def verify(
    model: Annotated[str | None, typer.Argument(help="Only this model. Default: all of them.")] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Trust files that nobody touched since they were hashed.")
    ] = False,
) -> None:
    """Read every stored file and compare its hash; exits with 1 if one differs. Changes nothing."""
    store = _store()
    if model is None:
        results = store.verify(full=not fast)
    else:
        results = [item for package in _find(store, model) for item in store.verify(full=not fast, key=package.key)]
    damaged = [item for item in results if not item.ok]
    for item in damaged:
        name = f"{item.key.provider}:{item.key.model_id}" if item.key else str(item.folder)
        for damage in item.damage:
            tell(f"{name}: {damage.handle}: {damage.reason}")
    output().print(f"{len(results) - len(damaged)} of {counted(len(results), 'package')} found sound")
    if damaged:
        raise typer.Exit(1)


@cache.command("gc")
def gc(
    max_size: Annotated[
        str | None, typer.Option(help="Also remove what was not used for longest, until the rest fits: 20GB, 500MB.")
    ] = None,
) -> None:
    """Remove what no model needs: broken downloads, damaged files that were put aside, old decisions."""
    from inference_models.cache.resolution_files import FileResolutionCache  # noqa: PLC0415 - not needed for --help

    store = _store()
    done = store.gc(quota=None if max_size is None else parse_size(max_size))
    decisions = FileResolutionCache(store.root).clear(damaged_only=True)
    output().print(
        f"freed {megabytes(done.freed)} MB: {done.packages} packages, {done.partials} broken downloads, "
        f"{done.quarantined} damaged files, {done.orphans} leftovers, {decisions} unreadable decisions",
        soft_wrap=True,
    )
    for place in done.skipped:
        tell(f"{place} stays: another process uses it; run again later")


@cache.command("rm")
def rm(
    model: Annotated[str | None, typer.Argument(help="Model id as `cache ls` shows it, or provider:id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All models, and all remembered decisions.")] = False,
) -> None:
    """Remove MODEL from the cache. Programs that have it loaded keep working."""
    if (model is None) == (not everything):
        raise typer.BadParameter("name one model, or pass --all")
    store = _store()
    removed, kept = 0, list[EnvironmentConfigurationError]()
    for package in store.packages() if model is None else _find(store, model):
        try:
            removed += package.size if store.remove(package.key) else 0
        except EnvironmentConfigurationError as exc:
            kept.append(exc)
    if everything:
        from inference_models.cache.resolution_files import FileResolutionCache  # noqa: PLC0415
        from inference_models.measure.store import MeasurementStore  # noqa: PLC0415 - not needed for --help

        FileResolutionCache(store.root).clear()
        MeasurementStore(store.root).clear()
    output().print(f"freed {megabytes(removed)} MB")
    for error in kept:
        report_error(error)
    raise typer.Exit(1 if kept else 0)


def _store() -> PackageStore:
    from inference_models.cache.store import PackageStore  # noqa: PLC0415 - not needed for --help

    return PackageStore()


def _find(store: PackageStore, model: str) -> list[StoredPackage]:
    packages = store.packages()
    found = [item for item in packages if model in {item.key.model_id, f"{item.key.provider}:{item.key.model_id}"}]
    if found:
        return found
    hint = nearest_hint(model, {item.key.model_id for item in packages})
    raise ModelNotFoundError(f"model {model!r} is not in the cache; {hint}.", fix="inference-models cache ls")


def _facts(package: StoredPackage) -> dict[str, object]:
    return {
        "provider": package.key.provider,
        "model_id": package.key.model_id,
        "package_id": package.key.package_id,
        "folder": str(package.folder),
        "size": package.size,
        "stored_at": package.stored_at,
        "last_used": package.last_used,
        "pinned": package.pinned,
        "files": [{"handle": file.handle, "size": file.size, "sha256": file.sha256} for file in package.files],
    }


def _print_json(data: object) -> None:
    import json  # noqa: PLC0415 - not needed for --help

    typer.echo(json.dumps(data, indent=2))
