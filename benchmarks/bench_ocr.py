"""Pages of known text, and a photograph: share of wrong characters and time, beside RapidOCR with the same weights.

python benchmarks/bench_ocr.py --peer PYTHON [--chinese FONT] [--photograph PICTURE TEXT]

PYTHON is that of an environment with rapidocr 3.10.0, and the same ONNX Runtime as here. Pages are written in DejaVu
Sans and Serif at 10 to 32 points, the last ones turned, noisy or faint. Both read them in processes of their own that
take turns, on one thread; times are of the processor, of all pages, the least of `--rounds`.
"""

# ruff: noqa: RUF001 - texts in other scripts

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

FONTS = "/usr/share/fonts/truetype/dejavu/DejaVu{}.ttf"
LATIN = [
    "The harbour was quiet when the first boats came in,",
    "and nobody had thought of asking what they carried:",
    "417 crates of oranges, 26 barrels of olive oil (2.5 t),",
    "three pianos, and a letter addressed to Dr. K. Jensen.",
    "Price: EUR 1,284.90; order no. AX-7731/b, page 12 of 30.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Deich.",
]
CYRILLIC = [
    "Съешь же ещё этих мягких французских булок,",
    "да выпей чаю. Поезд отходит в 18:45 с пятого пути,",
    "стоимость билета составляет 2350 рублей.",
    "Вход только по предъявлении документов.",
]
CHINESE = [
    "今天天气很好，我们一起去公园散步。",
    "图书馆每天早上九点开门，晚上八点关门。",
    "请把这封信交给王先生，谢谢！",
    "会议将于2026年11月28日在北京举行。",
]


def write(lines: list[str], font: str, points: int, *, dark: int = 0, light: int = 255) -> np.ndarray:
    """(H, W, 3) uint8: the lines in shades of grey."""
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(font, points)
    step = round(points * 1.7)
    width = max(round(face.getlength(line)) for line in lines) + 6 * points
    page = Image.new("L", (width, step * len(lines) + 4 * points), light)
    for row, line in enumerate(lines):
        ImageDraw.Draw(page).text((3 * points, 2 * points + row * step), line, dark, face)
    return np.asarray(page)[..., None].repeat(3, axis=2)


def turn(page: np.ndarray, degrees: float) -> np.ndarray:
    import cv2

    height, width = page.shape[:2]
    way = cv2.getRotationMatrix2D((0, 0), degrees, 1.0)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ way[:, :2].T
    way[:, 2] = -corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int).tolist()
    return cv2.warpAffine(page, way, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def noisy(page: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, page.shape[:2])[..., None]
    return np.clip(page + noise, 0, 255).astype(np.uint8)


def pages(chinese: str | None) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Picture and lines of each page, by name."""
    sans, serif = FONTS.format("Sans"), FONTS.format("Serif")
    made = {f"Latin, {points} points": (write(LATIN, sans, points), LATIN) for points in (10, 16, 32)}
    made["Latin, serif, 20 points"] = (write(LATIN, serif, 20), LATIN)
    made["Cyrillic, 12 points"] = (write(CYRILLIC, sans, 12), CYRILLIC)
    made["Cyrillic, serif, 24 points"] = (write(CYRILLIC, serif, 24), CYRILLIC)
    for degrees in (-15, -5, 10):
        made[f"Latin, turned by {degrees} degrees"] = (turn(write(LATIN, serif, 24), degrees), LATIN)
    made["Latin, upside down"] = (turn(write(LATIN, sans, 20), 180), LATIN)
    made["Latin, noise of 40 grey levels"] = (noisy(write(LATIN, sans, 20), 40), LATIN)
    made["Latin, 150 on 180"] = (write(LATIN, sans, 20, dark=150, light=180), LATIN)
    made["Cyrillic, turned by 8 degrees, noise of 25"] = (noisy(turn(write(CYRILLIC, sans, 20), 8), 25), CYRILLIC)
    if chinese:
        made["Chinese, 16 points"] = (write(CHINESE, chinese, 16), CHINESE)
        made["Chinese, 28 points, turned by 6 degrees"] = (turn(write(CHINESE, chinese, 28), 6), CHINESE)
    return made


def wrong(found: str, right: str) -> tuple[int, int]:
    """Edits between both, whitespace as one space, and the length of `right`."""
    found, right = " ".join(found.split()), " ".join(right.split())
    row = np.arange(len(found) + 1)
    for number, letter in enumerate(right, 1):
        before, row = row, np.empty_like(row)
        row[0] = number
        for place, other in enumerate(found, 1):
            row[place] = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != other))
    return int(row[-1]), len(right)


def reader(peer: bool) -> Any:
    """From a picture to its text."""
    if peer:
        from rapidocr import RapidOCR

        threads = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
        engine = RapidOCR(
            params={f"EngineConfig.onnxruntime.{name}": count for name, count in threads.items()}
            | {"Global.log_level": "error"}
        )
        return lambda picture: "\n".join(engine(picture).txts or ())
    from inference_models import AutoModel

    model = AutoModel.from_pretrained("pp-ocrv6", threads=1, backend="onnx")
    return lambda picture: model(picture)[0][0]


def read(folder: Path, *, peer: bool) -> None:
    """Print the text of every picture in the folder, and the seconds that each took."""
    import cv2

    ask = reader(peer)
    pictures = {path.stem: cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))}
    ask(next(iter(pictures.values())))
    told = {}
    for name, picture in pictures.items():
        start = time.process_time()
        text = ask(picture)
        told[name] = (text, time.process_time() - start)
    print("\n" + json.dumps(told))


def ask(python: str, folder: Path, *, peer: bool) -> dict[str, tuple[str, float]]:
    command = [python, __file__, "--read", str(folder), *(["--as-peer"] if peer else [])]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told: dict[str, tuple[str, float]] = json.loads(said.splitlines()[-1])
    return told


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser()
    parser.add_argument("--peer")
    parser.add_argument("--chinese")
    parser.add_argument("--photograph", nargs=2, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", type=Path)
    parser.add_argument("--as-peer", action="store_true")
    stated = parser.parse_args()
    if stated.read:
        read(stated.read, peer=stated.as_peer)
        return
    made = pages(stated.chinese)
    for path, text in stated.photograph:
        made[Path(path).name] = (cv2.imread(path), text.split("\n"))
    names = list(made)
    with tempfile.TemporaryDirectory() as folder:
        for number, (picture, _) in enumerate(made.values()):
            cv2.imwrite(f"{folder}/{number:02}.png", picture)
        ours, theirs = [], []
        for _ in range(stated.rounds):
            ours.append(ask(sys.executable, Path(folder), peer=False))
            theirs.append(ask(stated.peer or sys.executable, Path(folder), peer=True))
    totals = np.zeros(3)
    print("| page | characters | wrong here | wrong RapidOCR |\n| --- | --- | --- | --- |")
    for number, name in enumerate(names):
        right = "\n".join(made[name][1])
        (our, count), (their, _) = (wrong(told[0][f"{number:02}"][0], right) for told in (ours, theirs))
        totals += count, our, their
        print(f"| {name} | {count} | {our / count:.2%} | {their / count:.2%} |")
    print(f"| all | {totals[0]:.0f} | {totals[1] / totals[0]:.2%} | {totals[2] / totals[0]:.2%} |")
    seconds = [min(sum(each for _, each in told.values()) for told in rounds) for rounds in (ours, theirs)]
    print(f"\nProcessor time here {seconds[0]:.2f} s, RapidOCR {seconds[1]:.2f} s: {seconds[1] / seconds[0]:.2f} x")


if __name__ == "__main__":
    main()
