"""Image files from the arguments of a command: files, folders and patterns."""

from __future__ import annotations

import glob
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.errors import ModelInputError, nearest_names
from inference_models.preprocess.inputs import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""What a folder is searched for; a file that is named is read whatever its suffix."""
_STREAM = re.compile(r"(?:rtsp|rtmp|udp|srt)s?://|/dev/video\d", re.IGNORECASE)
WRITABLE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Pictures are written in the format of the photograph where it is one of these, else as PNG."""


def find_images(inputs: Iterable[str]) -> list[Path]:
    """Files, the images of folders and the matches of patterns, in the order given and without repeats.

    Raises:
        ModelInputError: one of the inputs leads to no file.
    """
    found: dict[Path, None] = {}
    for text in inputs:
        found.update(dict.fromkeys(_expand(text)))
    return list(found)


def save_targets(folder: Path, images: Sequence[Path]) -> dict[Path, Path]:
    """A file in `folder` for the picture of each image: its own name, never that of another one or of any input."""
    taken = {_identity(path) for path in images}
    numbers = Counter[str]()  # of the pictures of each name, so that many of one name take linear time
    targets: dict[Path, Path] = {}
    for path in images:
        suffix = path.suffix.lower() if path.suffix.lower() in WRITABLE_SUFFIXES else ".png"
        name = f"{path.stem}{suffix}".casefold()
        target = None
        while target is None or _identity(target) in taken:
            numbers[name] += 1
            target = folder / f"{path.stem}{'' if numbers[name] == 1 else f'-{numbers[name]}'}{suffix}"
        taken.add(_identity(target))
        targets[path] = target
    return targets


def _identity(path: Path) -> str:
    """What two names of one file share, also where the file system ignores case."""
    return str(path.resolve()).casefold()


def _expand(text: str) -> list[Path]:
    path = Path(text)
    _refuse_other_sources(text, path)
    if path.is_file():
        return [path]
    if path.is_dir():
        images = sorted(item for item in path.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES and item.is_file())
        deeper = "**/*" if any(item.is_dir() for item in path.iterdir()) else "*"
        fix = f"a file that is named is read whatever its suffix: {shlex.quote(str(path / deeper))}"
        return images or _refuse(text, f"a folder without {', '.join(sorted(IMAGE_SUFFIXES))} files", fix)
    # What exists as it is written is no pattern: folders are called [examples]. Path.glob takes no absolute patterns.
    folder = next((parent for parent in path.parents if parent.exists()), Path())
    rest = path.relative_to(folder) if folder.parts else path
    matches = sorted(Path(match) for match in glob.glob(str(Path(glob.escape(str(folder))) / rest), recursive=True))  # noqa: PTH207
    near = nearest_names(path.name, [item.name for item in folder.iterdir()] if folder.is_dir() else [], limit=1)
    fix = f"is it {folder / near[0]}?" if near else f"check the path; it was looked up in {Path.cwd()}"
    return [match for match in matches if match.is_file()] or _refuse(text, "nothing there", fix)


def _refuse_other_sources(text: str, path: Path) -> None:
    """Raise for a URL, a video, a camera, an archive: with the command that makes pictures of it."""
    if text.lower().startswith(("http://", "https://")):
        name = text.partition("?")[0].rpartition("/")[2] or "picture.jpg"
        _refuse(text.partition("?")[0], "a URL", f"fetch it first: curl -L -o {name} URL, then pass {name}")
    if path.suffix.lower() in VIDEO_SUFFIXES or _STREAM.match(text):
        frames = "frames/%05d.jpg"
        command = f"mkdir -p frames; ffmpeg -i {shlex.quote(text)} -r 5 {frames}, then pass the folder frames"
        _refuse(text, "a video", f"take pictures from it: {command}")
    if text.isdecimal() and not path.exists():
        _refuse(text, "a camera", f"take one picture in Python: frame = cv2.VideoCapture({text}).read()[1]")
    if path.suffix.lower() == ".zip":
        command = f"unzip -d {shlex.quote(path.stem)} {shlex.quote(text)}, then pass the folder {path.stem}"
        _refuse(text, "an archive", f"unpack it: {command}")


def _refuse(text: str, found: str, fix: str | None = None) -> list[Path]:
    needs = "an image file, a folder with images or a pattern"
    raise ModelInputError(f"no images at {text!r}.", needs=needs, found=found, fix=fix)
