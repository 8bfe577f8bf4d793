"""`inference-models predict`: a model on files, folders and patterns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import error_facts, messages, output, report_error, say, tell
from inference_models.cli.inputs import find_images, save_targets
from inference_models.cli.tables import print_prediction
from inference_models.errors import (
    EnvironmentConfigurationError,
    InvalidParameterError,
    ModelInputError,
    UnknownOptionError,
)
from inference_models.text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference_models.predictions.container import Prediction


def predict(
    model: arguments.Model,
    images: Annotated[list[str], typer.Argument(help="Image files, folders or patterns such as 'photos/*.jpg'.")],
    *,
    how: ModelOptions,
    save: Annotated[Path | None, typer.Option(help="Folder for the pictures with the predictions drawn.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per image instead of a table.")] = False,
    confidence: Annotated[float | None, typer.Option(help="Least score, 0..1. Default: the model's own.")] = None,
    iou_threshold: Annotated[float | None, typer.Option(help="Overlap from which boxes are one object, 0..1.")] = None,
    class_filter: Annotated[list[str] | None, typer.Option(help="Only this class; may be repeated.")] = None,
    image_size: Annotated[str | None, typer.Option(help="Network size, of a model that takes any.")] = None,
) -> None:
    """Run MODEL on IMAGES and print what it finds."""
    from inference_models.auto import AutoModel  # noqa: PLC0415 - what it loads is not needed for --help

    size = None if image_size is None else arguments.parse_size(image_size, "--image-size")
    classes = [int(name) if name.isdecimal() else name for name in class_filter or ()] or None
    given = {"confidence": confidence, "iou_threshold": iou_threshold, "class_filter": classes, "image_size": size}
    options = {name: value for name, value in given.items() if value is not None}
    paths = find_images(images)
    loaded: Any = AutoModel.from_pretrained(model, None, how.api_key, options=how.load_options(), **how.choices())
    targets = {} if save is None else save_targets(save, paths)
    if save is not None:
        _check_drawable(loaded)
        _make_folder(save)
    failed = 0
    with loaded:
        for path in _with_progress(paths):
            try:
                prediction = first_prediction(_answer(loaded, path, options))
            except ModelInputError as exc:
                report_error(exc)
                if as_json:
                    typer.echo(json_text({"image": str(path), "error": error_facts(exc)}))
                failed += 1
                continue
            _show(path, prediction, as_json=as_json)
            if path in targets:
                _save(loaded, path, prediction, targets[path])
    if failed:
        raise typer.Exit(1)


def first_prediction(answer: Any) -> Prediction | str:
    """The prediction, or text, of the only image in a model's answer."""
    if isinstance(answer, tuple):
        return first_prediction(answer[0])
    prediction: Prediction | str = answer[0] if isinstance(answer, list) else answer
    return prediction


def _with_progress(paths: Sequence[Path]) -> Iterator[Path]:
    console = messages()
    if len(paths) < 2 or not console.is_terminal:
        yield from paths
        return
    with Progress(console=console, transient=True) as progress:
        yield from progress.track(paths, description="images")


def _show(path: Path, prediction: Prediction | str, *, as_json: bool) -> None:
    if as_json:
        plain_values = prediction if isinstance(prediction, str) else prediction.to_dict()
        typer.echo(json_text({"image": str(path), "prediction": plain_values}))
    elif isinstance(prediction, str):
        say(f"{path}: {prediction}")
    else:
        print_prediction(output(), str(path), prediction)


def _save(model: Any, path: Path, prediction: Prediction | str, target: Path) -> None:
    import cv2  # noqa: PLC0415 - only needed here

    written, data = cv2.imencode(target.suffix, model.annotate(path, prediction))
    if not written:
        raise ModelInputError(f"the picture for {path} cannot be written as {target.suffix}.")
    try:
        target.write_bytes(data.tobytes())
    except OSError as exc:
        raise _unwritable(target, exc) from exc
    tell(f"saved {target}")


def _answer(model: Any, path: Path, options: dict[str, Any]) -> Any:
    try:
        return model(path, **options)
    except UnknownOptionError as exc:
        option = f"--{exc.option.replace('_', '-')}"
        raise InvalidParameterError(
            f"{option} means nothing to this model.",
            needs="a model that takes it, such as a detector",
            found=f"one that answers with a {type(first_prediction(model(path))).__name__}",
            fix=f"leave {option} out",
        ) from exc


def _check_drawable(model: Any) -> None:
    if not hasattr(model, "annotate"):
        raise InvalidParameterError(
            "--save means nothing to this model.",
            needs="a model whose predictions can be drawn",
            found=f"a {type(model).__name__}",
            fix="leave --save out",
        )


def _make_folder(folder: Path) -> None:
    """Before the model runs, so that a name that cannot be a folder costs nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise _unwritable(folder, exc) from exc


def _unwritable(path: Path, exc: OSError) -> EnvironmentConfigurationError:
    return EnvironmentConfigurationError(
        f"'{path}' cannot be written to.",
        needs="a folder, or a name for one, where you may write",
        found=exc.strerror or type(exc).__name__,
        fix="pass another folder to --save",
    )
