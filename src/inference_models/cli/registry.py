"""`inference-models registry serve`: publish a folder of packages on the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli.console import tell
from inference_models.cli.sizes import counted
from inference_models.machine.mends import set_variable

KEYS_VARIABLE = "INFERENCE_MODELS_REGISTRY_KEYS"
registry = typer.Typer(help="Host models for others.", no_args_is_help=True, rich_markup_mode=None)


@registry.callback()
def _group() -> None:
    """Host models for others."""


@registry.command("serve")
def serve(
    directory: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder with <id>/<package>/, or a package per <id>/.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Key that clients must send; may be repeated. {KEYS_VARIABLE} holds one or more, separated by commas"
            " or white space, and keeps them out of the list of processes.",
        ),
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Address clients use, when a proxy that encrypts stands in front.")
    ] = None,
) -> None:
    """Publish the packages in DIRECTORY until Ctrl-C; clients set ROBOFLOW_API_HOST to the printed address."""
    import threading  # noqa: PLC0415 - not needed for --help

    from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError  # noqa: PLC0415
    from inference_models.registry.access import Access  # noqa: PLC0415
    from inference_models.registry.library import PackageLibrary  # noqa: PLC0415
    from inference_models.transport.redirects import is_loopback  # noqa: PLC0415

    keys = _keys(api_key)
    try:
        from inference_models.registry.server import RegistryServer  # noqa: PLC0415
    except ImportError as exc:
        raise MissingDependencyError(
            "a registry cannot be served.",
            needs="starlette>=1.0 and uvicorn>=0.30",
            found=f"no module {exc.name!r}",
            fix='pip install "starlette>=1.0" "uvicorn>=0.30"',
        ) from exc
    library = PackageLibrary(directory)
    try:
        server = RegistryServer(library, host=host, port=port, access=Access(keys=keys), public_url=public_url)
    except OSError as exc:
        raise EnvironmentConfigurationError(
            f"{host} port {port} cannot be listened on.",
            needs="an address of this machine and a free port",
            found=exc.strerror or type(exc).__name__,
            fix="choose another --port, or 0 for any free one",
        ) from exc
    tell(f"serving {counted(library.count(), 'package')} of '{directory}'")
    tell(f"  {set_variable('ROBOFLOW_API_HOST', public_url or server.url)}")
    if not keys and not is_loopback(host):
        tell("everybody who reaches this address can load these models; see --api-key")
    # Large files take longer to hash than a client waits for its first answer.
    threading.Thread(target=library.warm, daemon=True).start()
    server.run_until_signal()
    tell("stopped")


def _keys(stated: list[str] | None) -> tuple[str, ...]:
    """The keys of the command line, else those of the variable; none only where neither was given."""
    if stated:
        return tuple(_checked_key(key, "--api-key") for key in stated)
    text = os.environ.get(KEYS_VARIABLE)
    if text is None:
        return ()
    # Whoever sets the variable wants keys: when it is blank, such as from a secret that is missing, nobody is let in.
    return tuple(_checked_key(key, KEYS_VARIABLE) for key in text.replace(",", " ").split() or [""])


def _checked_key(key: str, where: str) -> str:
    bare = key.strip()
    if not bare:
        raise typer.BadParameter(f"{where} holds no key; without keys everybody is let in, so leave it out for that")
    if not (bare.isascii() and bare.isprintable()):
        raise typer.BadParameter(f"{where} holds a key that no client can send; use printable ASCII characters")
    return bare
