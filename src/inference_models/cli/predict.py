"""`inference-models predict`: a model on files, folders and patterns."""

from __future__ import annotations

from contextlib import nullcontext
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
    BaseInferenceModelsError,
    EnvironmentConfigurationError,
    InvalidParameterError,
    ModelInputError,
    ModelRuntimeError,
    UnknownOptionError,
)
from inference_models.files.durable import write_output
from inference_models.text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.predictions.container import Prediction


def predict(
    model: arguments.Model,
    images: Annotated[list[str], typer.Argument(help="Image files, folders or patterns such as 'photos/*.jpg'.")],
    *,
    how: ModelOptions,
    save: Annotated[Path | None, typer.Option(help="Folder for the pictures with the predictions drawn.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per image instead of a table.")] = False,
    confidence: Annotated[
        str | None,
        typer.Option(help="Least score, 0..1, or best: as recommended with the model. Default: the model's."),
    ] = None,
    iou_threshold: Annotated[float | None, typer.Option(help="Overlap from which boxes are one object, 0..1.")] = None,
    class_filter: Annotated[list[str] | None, typer.Option(help="Only this class; may be repeated.")] = None,
    image_size: Annotated[str | None, typer.Option(help="Network size, of a model that takes any.")] = None,
    top: Annotated[int, typer.Option(help="Classes of a classification in --json, best first.", min=1)] = 5,
) -> None:
    """Run MODEL on IMAGES and print what it finds."""
    from inference_models.auto import AutoModel  # noqa: PLC0415 - what it loads is not needed for --help

    size = None if image_size is None else arguments.parse_size(image_size, "--image-size")
    classes = [int(name) if name.isdecimal() else name for name in class_filter or ()] or None
    given = {
        "confidence": _score(confidence),
        "iou_threshold": iou_threshold,
        "class_filter": classes,
        "image_size": size,
    }
    options = {name: value for name, value in given.items() if value is not None}
    paths = find_images(images)
    loaded: Any = AutoModel.from_pretrained(model, None, how.api_key, options=how.load_options(), **how.choices())
    targets = {} if save is None else save_targets(save, paths)
    if save is not None:
        _check_drawable(loaded)
        _make_folder(save)
    failed = 0
    with loaded if hasattr(loaded, "__enter__") else nullcontext():  # the class of a package may be no model of ours
        for path in _with_progress(paths):
            try:
                pixels = _pixels(path)
                answer = _answer(loaded, path, pixels, options)
            except ModelInputError as exc:
                report_error(exc)
                if as_json:
                    typer.echo(json_text({"image": str(path), "error": error_facts(exc)}))
                failed += 1
                continue
            if as_json:
                typer.echo(json_text({"image": str(path), **_facts(answer, pixels.shape[:2], top)}))
            else:
                _show(path, first_prediction(answer))
            if path in targets:
                _save(loaded, pixels, answer, targets[path])
    if failed:
        raise typer.Exit(1)


def _score(text: str | None) -> float | str | None:
    """A number, or a name that the model may know."""
    try:
        return text and (int(text) if text.isdecimal() else float(text))
    except ValueError:
        return text


def first_prediction(answer: Any) -> Prediction | str:
    """The prediction, or text, of the only image in a model's answer."""
    if isinstance(answer, tuple):
        return first_prediction(answer[0])
    rows = isinstance(answer, list) or getattr(answer, "ndim", 0) == 2  # vectors, one for each image
    prediction: Prediction | str = answer[0] if rows else answer
    return prediction


def _with_progress(paths: Sequence[Path]) -> Iterator[Path]:
    console = messages()
    if len(paths) < 2 or not console.is_terminal:
        yield from paths
        return
    with Progress(console=console, transient=True) as progress:
        yield from progress.track(paths, description="images")


def _pixels(path: Path) -> NumpyArray:
    """(H, W, 3) blue first: what a model of any origin takes, code packages that know nothing but arrays included."""
    import numpy as np  # noqa: PLC0415 - only needed here

    from inference_models.preprocess.inputs import load_images  # noqa: PLC0415

    (source,) = load_images(path)
    return np.ascontiguousarray(source.pixels if source.color == "bgr" else source.pixels[..., ::-1])


def _facts(answer: Any, size: tuple[int, ...], top: int) -> dict[str, object]:
    """What a line of JSON says of an image of (height, width): of a page that was read, its text and its lines."""
    from inference_models.predictions.container import Prediction  # noqa: PLC0415 - brings NumPy

    prediction, text = first_prediction(answer), {}
    if isinstance(answer, tuple) and isinstance(prediction, str):
        prediction, text = first_prediction(answer[1]), {"text": prediction}
    # The code of a package may answer with anything.
    found = prediction.to_line(top=top) if isinstance(prediction, Prediction) else _plain(prediction)
    return {"width": size[1], "height": size[0], **text, "prediction": found}


def _show(path: Path, prediction: Prediction | str) -> None:
    from inference_models.predictions.container import Prediction  # noqa: PLC0415 - brings NumPy

    if not isinstance(prediction, Prediction):
        say(f"{path}: {_plain(prediction)}" if hasattr(prediction, "ndim") else f"{path}: {prediction}")
    else:
        print_prediction(output(), str(path), prediction)


def _plain(answer: Any) -> object:
    axes = getattr(answer, "ndim", 0)
    return _depths(answer) if axes == 2 else answer.tolist() if axes == 1 else str(answer)


def _depths(answer: Any) -> dict[str, object]:
    """What is said of a number for every pixel, (H, W)."""
    import numpy as np  # noqa: PLC0415 - only needed here

    from inference_models.arrays import to_numpy  # noqa: PLC0415

    least, middle, most = np.nanpercentile(to_numpy(answer).astype(np.float64), (0, 50, 100)).tolist()
    return {"height": answer.shape[0], "width": answer.shape[1], "least": least, "median": middle, "most": most}


def _save(model: Any, pixels: NumpyArray, answer: Any, target: Path) -> None:
    import cv2  # noqa: PLC0415 - only needed here

    written, data = cv2.imencode(target.suffix, model.annotate(pixels, answer))
    if not written:
        raise ModelInputError(f"a picture cannot be written as {target.suffix}.")
    try:
        write_output(target, data.tobytes())
    except OSError as exc:
        raise _unwritable(target, exc) from exc
    tell(f"saved {target}")


def _answer(model: Any, path: Path, pixels: NumpyArray, options: dict[str, Any]) -> Any:
    from inference_models.parity.answers import call_of  # noqa: PLC0415 - only needed here

    try:
        return call_of(model)(pixels, **options)
    except UnknownOptionError as exc:
        option = f"--{exc.option.replace('_', '-')}"
        raise InvalidParameterError(
            f"{option} means nothing to this model.",
            needs="a model that takes it, such as a detector",
            found=f"one that answers with a {type(first_prediction(call_of(model)(pixels))).__name__}",
            fix=f"leave {option} out",
        ) from exc
    except BaseInferenceModelsError:
        raise
    except Exception as exc:
        # The code of a package may raise anything.
        raise ModelRuntimeError(
            f"the model failed on '{path}'.",
            needs="a model that takes an image as an array (H, W, 3)",
            found=f"{type(exc).__name__}: {exc}",
            fix="call it from Python as its authors do",
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
