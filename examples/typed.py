"""A model whose type is known: the class of a task loads any id, path or lock file of that task."""

from __future__ import annotations

from pathlib import Path

from inference_models import ClassificationModel, ObjectDetectionModel
from inference_models.errors import InvalidParameterError

PHOTO = Path(__file__).parent / "astronaut.jpg"


def main() -> None:
    with ObjectDetectionModel.from_pretrained("centerface") as model:
        (faces,) = model(PHOTO)
        for box, confidence in zip(faces.xyxy, faces.confidence, strict=True):
            print([round(float(side)) for side in box], round(float(confidence), 2))
        model.annotate(PHOTO, faces)
    try:
        ClassificationModel.from_pretrained("centerface")
    except InvalidParameterError as error:
        print(error)


if __name__ == "__main__":
    main()
