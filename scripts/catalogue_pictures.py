"""Draw what every model of the open catalogue finds on a picture, for docs/models.md: `scripts/catalogue_pictures.py`.

Pictures are free: photographs of scikit-image, and what is drawn here. Needs scikit-image, LiteRT and PyTorch.
"""

# ruff: noqa: PLC0415 - write-docs imports this module for its tables alone

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Picture = npt.NDArray[Any]

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images" / "catalogue"
WIDEST, QUALITY = 400, 82
TEXT = "Seven grey elephants"
SOURCES = {
    "astronaut": "Eileen Collins, NASA, public domain",
    "coffee": "photograph by Rachel Michetti, CC0",
    "hand": "drawn by `tests/drawn_people.py`",
    "line": "drawn here in Aileron, CC0",
    "lines": "drawn here in Aileron, CC0",
    "page": "drawn here in Aileron, CC0",
    "person": "drawn by `tests/drawn_people.py`",
    "turned page": "drawn here in Aileron, CC0",
}
SHOWN = {
    "blazepose-full": "person",
    "centerface": "astronaut",
    "centerface-landmarks": "astronaut",
    "efficientnet-lite0-imagenet": "coffee",
    "mediapipe-hand-full": "hand",
    "mobilenet-v2-imagenet": "coffee",
    "picodet-layout-cdla": "page",
    "pp-ocrv6": "lines",
    "pp-ocrv6-det-tiny": "lines",
    "pp-ocrv6-rec-small": "line",
    "pplcnet-page-orientation": "turned page",
}
"""Model to picture."""


def picture(name: str) -> Picture:
    """(H, W, 3) uint8, blue first."""
    import numpy as np

    if name in {"hand", "person"}:
        sys.path.insert(0, str(ROOT / "tests"))
        import drawn_people

        return drawn_people.draw_hand() if name == "hand" else drawn_people.draw_person()
    if name == "line":
        return written([(20, 12, 40, TEXT)], (420, 72))
    if name == "lines":
        rows = [(30, 40 + 90 * place, 30, text) for place, (*_, text) in enumerate(paragraph()[:5])]
        return turned(written(rows, (640, 480)))
    if name.endswith("page"):
        page = written([(150, 50, 56, "A large title"), *paragraph()], (640, 800))
        return np.ascontiguousarray(np.rot90(page) if name == "turned page" else page)
    from skimage import data

    return np.ascontiguousarray(getattr(data, name)()[..., ::-1])


def paragraph() -> list[tuple[int, int, int, str]]:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away"]
    lines = (" ".join(words[(line + place) % len(words)] for place in range(8)) for line in range(16))
    return [(50, 170 + 36 * place, 24, text.capitalize()) for place, text in enumerate(lines)]


def written(texts: list[tuple[int, int, int, str]], size: tuple[int, int]) -> Picture:
    """Black on white: x, y, size and text; the font is the one that Pillow brings."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("RGB", size, "white")
    for x, y, height, text in texts:
        ImageDraw.Draw(page).text((x, y), text, "black", ImageFont.load_default(height))
    return np.asarray(page)


def turned(page: Picture) -> Picture:
    """A little against the clock, as a page lies on a table."""
    import cv2

    height, width = page.shape[:2]
    way = cv2.getRotationMatrix2D((width / 2, height / 2), 6, 0.9)
    return cv2.warpAffine(page, way, (width, height), borderValue=(214, 222, 226), flags=cv2.INTER_AREA)


def draw(model_id: str) -> Path:
    import cv2
    import numpy as np

    from inference_models import AutoModel

    pixels = picture(SHOWN[model_id])
    with AutoModel.from_pretrained(model_id) as model:
        answer = model(pixels)
        if isinstance(answer[0] if isinstance(answer, list) else None, str):
            below = written([(20, 8, 26, f"read: {answer[0]}")], (pixels.shape[1], 52))
            drawn = np.concatenate([pixels, np.full((2, pixels.shape[1], 3), 160, np.uint8), below])
        else:
            text_first = isinstance(answer, tuple) and isinstance(answer[0][0], str)
            drawn = model.annotate(pixels, answer[0][0] if isinstance(answer, tuple) and not text_first else answer)
    factor = min(1.0, WIDEST / max(drawn.shape[:2]))
    size = (round(drawn.shape[1] * factor), round(drawn.shape[0] * factor))
    target = FOLDER / f"{model_id}.jpg"
    FOLDER.mkdir(exist_ok=True)
    cv2.imwrite(str(target), cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return target


if __name__ == "__main__":
    for name in sys.argv[1:] or SHOWN:
        path = draw(name)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")
