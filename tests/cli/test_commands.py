"""The commands as a person types them, in this process."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import graphs
from inference_models.cli import main
from inference_models.package.code import code_digest
from inference_models.predictions.detections import Detections

PHOTO = Path(__file__).parent.parent.parent / "examples" / "astronaut.jpg"


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """A YOLOv8-style graph of two classes that always finds the same two boxes in a 64x64 image."""
    rows = np.zeros((1, 6, 9), np.float32)
    rows[0, :, 0] = [32, 32, 16, 8, 0.9, 0.1]
    rows[0, :, 1] = [16, 16, 8, 8, 0.2, 0.7]
    return graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": rows})


@pytest.fixture
def typed(detector: Path) -> list[str]:
    labels = detector.parent / "labels.txt"
    labels.write_text("cat\ndog\n")
    return ["predict", str(detector), str(PHOTO), "--labels", str(labels), "--family", "yolov8"]


def test_predict_prints_a_table(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed) == 0
    out, err = capsys.readouterr()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    assert cells == [
        ["cat", "0.900", "192.0", "224.0", "320.0", "288.0"],
        ["dog", "0.700", "96.0", "96.0", "160.0", "160.0"],
    ]
    assert str(PHOTO) in out
    assert err == ""


def test_predict_json_is_one_object_per_image_that_reads_back(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    read = json.loads(line)
    assert (read["image"], read["width"], read["height"]) == (str(PHOTO), 512, 512)
    assert read["prediction"].keys() == {"type", "schema_version", "detections"}
    detections = Detections.from_dict(read["prediction"])
    np.testing.assert_array_equal(detections.xyxy, [[192, 224, 320, 288], [96, 96, 160, 160]])


def test_a_line_of_a_thousand_classes_has_the_best_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = np.arange(1000, dtype=np.float32)[None] / 1e6
    path = graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": scores})
    (tmp_path / "labels.txt").write_text("\n".join(f"name {number}" for number in range(1000)))
    typed = [
        "predict",
        str(path),
        str(PHOTO),
        "--labels",
        str(tmp_path / "labels.txt"),
        "--family",
        "resnet",
        "--task",
        "classification",
        "--json",
    ]
    for count, options in ((5, []), (7, ["--top", "7"])):
        assert main([*typed, *options]) == 0
        line = capsys.readouterr().out
        (best,) = json.loads(line)["prediction"]["top"]
        assert len(line) < 1000
        assert [item["class_name"] for item in best] == [f"name {999 - number}" for number in range(count)]


MODEL = """
class Model:
    @classmethod
    def from_pretrained(cls, folder, **options):
        return cls()

    def __call__(self, image, **options):
        return image.shape if image.shape[0] > 100 else image.nothing

    infer = __call__
"""


def test_code_that_takes_arrays_gets_them_and_its_errors_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "model_config.json").write_text('{"model_module": "model.py", "model_class": "Model"}')
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((9, 8, 3), np.uint8))
    consent = code_digest(tmp_path)
    assert main(["predict", str(tmp_path), str(PHOTO), "--allow-code", consent]) == 0
    assert capsys.readouterr().out == f"{PHOTO}: 512\n"
    assert main(["predict", str(tmp_path), str(small), "--allow-code", consent]) == 1
    assert capsys.readouterr().err.startswith(f"error: the model failed on '{small}'.\n")


def test_predict_saves_the_picture_with_boxes(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed, "--save", str(tmp_path / "out")]) == 0
    drawn = cv2.imread(str(tmp_path / "out" / "astronaut.jpg")).astype(int)
    changed = np.abs(drawn - cv2.imread(str(PHOTO))).max(axis=2) > 60
    assert changed[224:289, 192:321].mean() > 0.02
    assert changed[320:].mean() < 0.001
    assert capsys.readouterr().err == f"saved {tmp_path / 'out' / 'astronaut.jpg'}\n"


def test_predict_saves_key_points_and_their_boxes(tmp_path: Path) -> None:
    row = [192, 224, 320, 288, 0.9, 0, 220, 250, 0.9, 290, 260, 0.9]
    metadata = {"task": "pose", "names": "{0: 'face'}", "kpt_shape": "[2, 3]", "end2end": "True"}
    graphs.constant_outputs(
        tmp_path / "m.onnx",
        size=(512, 512),
        outputs={"output0": np.array([[row]])},
        metadata=metadata | {"description": "Ultralytics YOLO26n-pose"},
    )
    assert main(["predict", str(tmp_path / "m.onnx"), str(PHOTO), "--save", str(tmp_path / "out")]) == 0
    drawn = cv2.imread(str(tmp_path / "out" / "astronaut.jpg")).astype(int)
    changed = np.abs(drawn - cv2.imread(str(PHOTO))).max(axis=2) > 60
    assert changed[249:252, 219:222].all()  # a point
    assert changed[225:287, 191:194].mean() > 0.3  # the left edge of the box


def test_predict_saves_depths_and_tells_what_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    depth = np.linspace(1, 9, 64, dtype=np.float32)[None, :, None].repeat(64, 2)
    graphs.constant_outputs(tmp_path / "m.onnx", size=(64, 64), outputs={"output0": depth})
    typed = ["predict", str(tmp_path / "m.onnx"), str(PHOTO), "--family", "yolo26", "--task", "depth-estimation"]
    assert main([*typed, "--json", "--save", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)["prediction"]
    assert told == {"height": 512, "width": 512, "least": 1.0, "median": pytest.approx(5, abs=0.02), "most": 9.0}
    rows = cv2.imread(str(tmp_path / "out" / "astronaut.jpg"))[60::60, 400:].sum(axis=2).mean(axis=1)
    assert (np.diff(rows) > 20).all()


def test_confidence_is_passed_on(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*typed, "--confidence", "0.8", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["prediction"]["detections"]) == 1


def test_an_image_without_objects_says_so(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*typed, "--confidence", "1"]) == 0
    assert capsys.readouterr().out == f"{PHOTO}: nothing found\n"


def test_a_bad_image_among_others_is_reported_and_the_rest_is_done(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    assert main([*typed[:2], str(bad), *typed[2:], "--json"]) == 1
    out, err = capsys.readouterr()
    refused, answered = map(json.loads, out.splitlines())
    assert (refused["image"], refused["error"]["type"]) == (str(bad), "ModelInputError")
    assert answered["image"] == str(PHOTO)
    assert "bad.jpg" in err
    assert err.startswith("error: ")


def test_names_of_strangers_are_shown_and_never_obeyed(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "a[red]\x1b[31m.jpg"
    photo.write_bytes(PHOTO.read_bytes())
    labels = tmp_path / "labels.txt"
    labels.write_text("[/b]evil\n[link=http://example.com]click[/link]\n")
    command = ["predict", str(detector), str(photo), "--labels", str(labels), "--family", "yolov8"]
    assert main([*command, "--save", str(tmp_path / "out[b]")]) == 0
    out, err = capsys.readouterr()
    assert "a[red]\\x1b[31m.jpg" in out
    assert "[/b]evil" in out
    assert "[link=http://example.com]click[/link]" in out
    assert "\x1b" not in out + err


def test_a_narrow_terminal_gets_one_line_per_object(
    typed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from inference_models.cli import predict

    monkeypatch.setattr(predict, "output", lambda: Console(width=30))
    assert main(typed) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{PHOTO}: cat 0.900 192.0 224.0 320.0 288.0",
        f"{PHOTO}: dog 0.700 96.0 96.0 160.0 160.0",
    ]


def test_a_folder_that_cannot_be_made_is_said_before_anything_runs(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken.jpg"
    taken.touch()
    assert main([*typed, "--save", str(taken)]) == 1
    assert capsys.readouterr().err == (
        f"error: '{taken}' cannot be written to.\n"
        "needs a folder, or a name for one, where you may write; found: File exists\n"
        "pass another folder to --save\n"
    )


def test_a_full_disk_leaves_the_older_picture(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "astronaut.jpg").write_text("older")
    monkeypatch.setattr("inference_models.files.durable.sync", full)
    assert main([*typed, "--save", str(tmp_path)]) == 1
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*astronaut*")] == [("astronaut.jpg", "older")]


def test_a_threshold_for_a_model_without_one_is_refused_in_the_words_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = np.array([[0.7, 0.3]], np.float32)
    path = graphs.constant_outputs(tmp_path / "c.onnx", size=(64, 64), outputs={"scores": scores})
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    command = ["predict", str(path), str(PHOTO), "--labels", str(labels), "--family", "vit", "--task", "classification"]
    assert main([*command, "--confidence", "0.5"]) == 1
    assert capsys.readouterr().err == (
        "error: --confidence means nothing to this model.\n"
        "needs a model that takes it, such as a detector; found: one that answers with a ClassificationPrediction\n"
        "leave --confidence out\n"
    )


def test_describe_shows_the_licence_and_what_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "centerface"]) == 0
    out = capsys.readouterr().out
    facts = dict(line.split(maxsplit=1) for line in out.splitlines() if line.startswith(("  licence", "  task")))
    assert facts == {"licence": "MIT", "task": "object-detection"}
    assert "runs with onnx, choice 1" in out


def test_list_shows_every_model_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for model_id, licence in (("centerface", "MIT"), ("picodet-layout-cdla", "Apache-2.0")):
        assert licence in next(line for line in out.splitlines() if model_id in line)


def test_wrong_usage_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict"]) == 2
    assert main(["predct"]) == 2
    assert "No such command 'predct'" in capsys.readouterr().err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("predict", "describe", "list", "doctor"))


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inference_models", "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "inference-models 0.1.0\n")


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(130)])
def test_an_interrupted_command_says_so(
    ending: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**_: object) -> None:
        raise ending

    monkeypatch.setattr("inference_models.cli.app.app", interrupted)
    assert main([]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_ctrl_c_in_a_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inference_models.catalogue.open_catalogue", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"
