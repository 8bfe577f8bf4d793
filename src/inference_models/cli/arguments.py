"""Options that several commands share, each said once, and what they mean for a load."""

from __future__ import annotations

import functools
import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.freeze.pull import PullOptions
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import LoadOptions

KEY_VARIABLE = "INFERENCE_MODELS_API_KEY"
Model = Annotated[str, typer.Argument(help="Model id, folder of a package, or file with weights.")]
Models = Annotated[list[str], typer.Argument(help="Model ids, provider:id, or paths.")]
EveryPackage = Annotated[
    bool, typer.Option("--every-package", help="All packages, for machines that differ from this one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Output = Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The file to write.")]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Options of every command that takes a model: what a bare file is, and which package of a model is wanted."""

    labels: Annotated[
        str | None, typer.Option(help="Class names of a bare file: a text file, or the name of a list such as coco.")
    ] = None
    family: Annotated[str | None, typer.Option(help="Architecture of a bare file, for example yolov8.")] = None
    task: Annotated[str | None, typer.Option(help="Task of a bare file, for example object-detection.")] = None
    input_size: Annotated[
        str | None, typer.Option(help="Network size of a bare file that takes any: 640, or 480x640 (height x width).")
    ] = None
    backend: Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")] = None
    quantization: Annotated[list[str] | None, typer.Option(help="Only this number format; may be repeated.")] = None
    package: Annotated[str | None, typer.Option(help="Only the package with this id.")] = None
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: the best there is.")] = None
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar=KEY_VARIABLE,
            show_envvar=False,
            help=f"Key for the provider. {KEY_VARIABLE} holds it too, and keeps it out of the list of processes.",
        ),
    ] = None
    allow_untrusted: Annotated[
        bool, typer.Option("--allow-untrusted", help="Also packages their provider does not vouch for.")
    ] = False
    allow_code: Annotated[
        str | None, typer.Option(help="SHA-256 of code that may run: Python of a package, or a TorchScript archive.")
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other option of a load in Python; may be repeated."),
    ] = None

    def load_options(self, **more: Any) -> LoadOptions:
        """What the options say of a load, with those in `more`.

        Raises:
            InvalidParameterError: a value makes no sense.
            UnknownOptionError: `--set` names no option.
        """
        from inference_models.options import OPTION_NAMES, LoadOptions  # noqa: PLC0415 - not needed for --help

        stated = dict(map(_setting, self.settings or ()))
        for name in stated.keys() - OPTION_NAMES:
            from inference_models.errors import nearest_hint  # noqa: PLC0415

            raise typer.BadParameter(f"--set knows no {name!r}; {nearest_hint(name, OPTION_NAMES)}")
        return LoadOptions(
            labels=self.labels,
            model_type=self.family,
            task_type=self.task,
            input_size=None if self.input_size is None else parse_size(self.input_size, "--input-size"),
            allow_untrusted_packages=self.allow_untrusted,
            allow_local_code_packages=self.allow_code or False,
            **{**more, **stated},
        )

    def choices(self) -> dict[str, Any]:
        """Which package is wanted, as arguments of `AutoModel.from_pretrained`."""
        return {
            "model_package_id": self.package,
            "backend": self.backend or None,
            "quantization": self.quantization or None,
            "device": self.device,
        }

    def request(self, **more: Any) -> PackageRequest:
        """Which package is wanted, as negotiation takes it."""
        from inference_models.negotiate.request import build_request  # noqa: PLC0415 - not needed for --help

        return build_request(self.load_options(), **self.choices(), **more)

    def pull_options(self, *, every_package: bool = False) -> PullOptions:
        """Which packages are fetched."""
        from inference_models.freeze.pull import PullOptions  # noqa: PLC0415 - not needed for --help

        return PullOptions(
            request=self.request(), load=self.load_options(), api_key=self.api_key, every_package=every_package
        )


def takes_model(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of `ModelOptions`, which it gets as one argument `how`."""
    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "how"]
    hints = get_type_hints(ModelOptions, include_extras=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(ModelOptions, name), annotation=hint)
        for name, hint in hints.items()
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        how = ModelOptions(**{name: given.pop(name) for name in hints})
        command(**given, how=how)

    run.__annotations__ = {}
    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    run.__signature__ = inspect.Signature([*by_name, *shared])  # type: ignore[attr-defined] # what typer reads
    return run


def parse_size(text: str, option: str) -> tuple[int, int]:
    """(height, width) in `640` or `480x640`.

    Raises:
        BadParameter: the text is no size.
    """
    sides = text.lower().replace(",", "x").split("x")
    if len(sides) in {1, 2} and all(side.strip().isdecimal() and int(side) > 0 for side in sides):
        return int(sides[0]), int(sides[-1])
    raise typer.BadParameter(f"{text!r} is no size for {option}; write for example 640, or 480x640 (height x width)")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is no setting; write --set NAME=VALUE")
    try:
        return name.strip(), json.loads(value if value not in {"True", "False"} else value.lower())
    except ValueError:
        return name.strip(), value
