"""A picture of each of Pillow's kinds, read in a process that may take what is promised: `python large_pictures.py`.

Each picture is smaller than the largest one of its kind that is read, and what is promised beside three times its size
is taken in proportion.
"""

from __future__ import annotations

import io
import os
import resource

import cv2
import numpy as np
from PIL import Image, features

from hostile_texts import SECONDS, SPARE, used
from inference_models.config import MAX_PIXELS
from inference_models.preprocess import bounds
from inference_models.preprocess.inputs import load_images

SIDE = 2880
BUFFERS = 24 << 20
"""Of decoders, whatever the size."""
TURNED = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
KINDS = {
    "AVIF, alpha": ("AVIF", "RGBA", {"speed": 10, "subsampling": "4:4:4"}),
    "BMP": ("BMP", "RGB", {}),
    "GIF": ("GIF", "P", {}),
    "JPEG, turned": ("JPEG", "RGB", {"exif": b"Exif\0\0" + TURNED}),
    "JPEG, progressive": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "JPEG 2000": ("JPEG2000", "RGBA", {}),
    "PCX": ("PCX", "RGB", {}),
    "PNG": ("PNG", "RGBA", {"compress_level": 1}),
    "PNG, 16 bits": ("PNG", "I;16", {"compress_level": 1}),
    "PNG, palette": ("PNG", "P", {"compress_level": 1}),
    "PPM": ("PPM", "RGB", {}),
    "PPM, 16 bits": ("PPM", "I;16", {}),
    "SGI": ("SGI", "RGB", {}),
    "TGA": ("TGA", "RGBA", {"rle": True}),
    "TIFF": ("TIFF", "CMYK", {"compression": "tiff_lzw"}),
    "TIFF, turned": ("TIFF", "RGB", {"tiffinfo": {274: 6}}),
    "WebP": ("WEBP", "RGBA", {"method": 0}),
    "WebP, exact": ("WEBP", "RGB", {"lossless": True, "method": 0, "quality": 0}),
}


def written(kind: str) -> bytes:
    name, mode, options = KINDS[kind]
    grey = np.add.outer(np.arange(SIDE) // 8, np.arange(SIDE) // 16)
    image = Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.uint8))
    stream = io.BytesIO()
    (image if image.mode == mode else image.convert("RGB").convert(mode)).save(stream, name, **options)
    return stream.getvalue()


def read(kind: str) -> None:
    data = written(kind)
    most = bounds._MOST_PIXELS.get(KINDS[kind][0], MAX_PIXELS)
    memory = used(5) + BUFFERS + int(3 * (len(data) + 3 * SIDE * SIDE) + SPARE * SIDE * SIDE / most)
    seconds = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 1 + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))
    (picture,) = load_images(data)
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert picture.size == (SIDE, SIDE)


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # a decoder with many threads has a stack for each
    cv2.setNumThreads(1)
    for kind in KINDS:
        if "AVIF" not in kind or features.check("avif"):
            read(kind)
            print(kind, flush=True)


if __name__ == "__main__":
    main()
