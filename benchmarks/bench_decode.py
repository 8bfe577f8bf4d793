"""Why JPEG files are decoded by Pillow alone: OpenCV's decoder on the same 1080p file, in the same run.

python benchmarks/bench_decode.py PHOTO

A second decoder would be kept from a ratio of 1.3 on. Both are libjpeg-turbo, so the pixels are the same.
"""

from __future__ import annotations

import io
import sys

import cv2
import numpy as np
from PIL import Image
from timing import paired_ratio, table

from inference_models.preprocess.inputs import load_images

SETTINGS = {"quality 75, 4:2:0": (75, 2), "quality 90, 4:2:0": (90, 2), "quality 90, 4:4:4": (90, 0)}


def main(photo: str) -> None:
    picture = Image.open(photo).convert("RGB").resize((1920, 1080))
    rows = [(name, *measured(encoded(picture, *how))) for name, how in SETTINGS.items()]
    print(table(rows, ("1920x1080 JPEG", "Pillow ms", "OpenCV ms", "ratio", "largest difference")))


def encoded(picture: Image.Image, quality: int, subsampling: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return stream.getvalue()


def measured(data: bytes) -> tuple[str, str, str, str]:
    def by_pillow() -> np.ndarray:
        return load_images(data)[0].pixels

    def by_opencv() -> np.ndarray:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)

    pillow, opencv, ratio = paired_ratio(by_pillow, by_opencv)
    difference = np.abs(by_pillow()[..., ::-1].astype(int) - by_opencv()).max()
    return f"{pillow:.1f}", f"{opencv:.1f}", f"{ratio:.2f}", str(difference)


if __name__ == "__main__":
    main(sys.argv[1])
