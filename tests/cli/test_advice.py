"""What the command line says to a wrong command: in its own words, with something to do that helps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphs
from inference_models.cli import main, wording
from inference_models.cli.wording import in_options

OF_THIS_ENVIRONMENT = wording._of_this_environment
PHOTO = Path(__file__).parent.parent.parent / "examples" / "astronaut.jpg"


@pytest.mark.parametrize(
    ("python", "options"),
    [
        ('pass device="cpu"', "pass --device cpu"),
        ('pass backend=["onnx", "openvino"]', "pass --backend onnx --backend openvino"),
        ("pass allow_untrusted_packages=True", "pass --allow-untrusted"),
        ("pass allow_fallback=True to run it there", "pass --set allow_fallback=true to run it there"),
        ('pass task_type="a" or "b"', "pass --task a or b"),
        ("image_size=(640, 480) bad\nleave image_size out", "--image-size 640x480 bad\nleave --image-size out"),
        ("needs labels and model_type; found: x", "needs --labels and --family; found: x"),
        ("class_filter: no class 'x'", "--class-filter: no class 'x'"),
        ('pass x="1", device=auto', 'pass x="1", device=auto'),
        ('pass allow_local_code_packages="ab" (on the command line --allow-code ab)', "pass --allow-code ab"),
    ],
)  # fmt: skip
def test_arguments_become_options(python: str, options: str) -> None:
    assert in_options(python) == options


@pytest.mark.parametrize(
    ("beside", "has_pip", "shown"),
    [
        (True, True, "pip install torch"),
        (False, True, "/venv/bin/python -m pip install torch"),
        (False, False, "uv pip install --python /venv/bin/python torch"),
    ],
    ids=["pip of this environment", "pip of another", "no pip"],
)
def test_commands_of_pip_are_for_the_environment_of_this_program(
    beside: bool, has_pip: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "/venv/bin/" if beside else "/usr/bin/"
    monkeypatch.setattr(wording, "_of_this_environment", OF_THIS_ENVIRONMENT)
    monkeypatch.setattr("sys.executable", "/venv/bin/python")
    monkeypatch.setattr(wording.shutil, "which", lambda name: place + name)
    monkeypatch.setattr(wording.importlib.util, "find_spec", lambda name: object() if has_pip else None)
    assert in_options("1. pip install torch") == f"1. {shown}"


SAYS_ITSELF = {
    "task": "detect",
    "description": "Ultralytics YOLOv8n model",
    "names": "{0: 'a', 1: 'b'}",
    "stride": "32",
}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector and a classifier that say nothing of themselves, in the working folder."""
    monkeypatch.chdir(tmp_path)
    outputs = {"det.onnx": np.zeros((1, 84, 9), np.float32), "cls.onnx": np.zeros((1, 80), np.float32)}
    for name, output in outputs.items():
        graphs.constant_outputs(Path(name), size=(64, 64), outputs={"output0": output})
    says = {"output0": np.zeros((1, 6, 84), np.float32)}
    graphs.constant_outputs(Path("says.onnx"), size=(64, 64), outputs=says, metadata=SAYS_ITSELF)
    Path("empty").mkdir()
    Path("made").mkdir()
    shutil.copy("det.onnx", "made/model.onnx")


KNOWN = ["--labels", "coco", "--family", "yolov8"]


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["predict", "det.onnx"], "pass --labels coco, or a text file with the names, and --family yolov8 or another"),
        (["predict", "cls.onnx"], "--family resnet and --task classification or --task multi-label-classification"),
        (["predict", "cls.onnx", "--labels", "coco", "--family", "resnet"], "--task classification or multi-label-cla"),
        (["predict", "det.onnx", "--labels", "coco", "--family", "yolo"], "pass --family yolo"),
        (["predict", "det.onnx", *KNOWN, "--task", "detection"], "pass --task object-detection"),
        (["predict", "det.onnx", *KNOWN, "--device", "cuda"], "pass --device cpu"),
        (["predict", "det.onnx", *KNOWN, "--image-size", "32"], "leave --image-size out"),
        (["explain", "det.onnx", *KNOWN, "--input-size", "32"], "needs 64 x 64, the only size of this graph"),
        (["predict", "det.onnx", *KNOWN, "--task", "detect"], "pass --task object-detection"),
        (["predict", "det.onnx", *KNOWN, "--confidence", "50"], "pass --confidence 0.5"),
        (["predict", "det.onnx", *KNOWN, "--confidence", "abc"], "a number in [0, 1], 'default' or 'best'"),
        (["predict", "det.onnx", "--labels", "a,b", "--family", "yolov8"], "one per line, into a text file"),
        (["predict", "det.onnx", *KNOWN, "--backend", "onnxruntime"], "pass --backend onnx"),
        (["explain", "det.onnx", *KNOWN, "--execution-provider", "CPUExecutionProvidr"], "CPUExecutionProvider"),
        (["predict", "says.onnx", "--family", "resnet"], "--family resnet is not what 'says.onnx' says of itself"),
        (["predict", "says.onnx", "--family", "yolox"], "leave --family out"),
        (["predict", "says.onnx", "--task", "classification"], "leave --task out"),
        (["explain", "says.onnx", "--family", "yolo"], "needs --family yolov8; found: 'yolo' leave --family out"),
        (["predict", "says.onnx", "--labels", "coco"], "leave --labels out where the model says them itself"),
        (["predict", "says.onnx", "--package", "p"], "leave --package out"),
        (["predict", "made"], "name the file with the weights: "),
        (["predict", "empty"], "or a file with weights, such as ./best.onnx"),
        (["predict", str(PHOTO)], "name the model first, then the pictures"),
        (["predict", "centerface", "--input-size", "320"], "leave --input-size out"),
        (["predict", "https://host/x/best.onnx"], "fetch it yourself and load it by its path: ./best.onnx"),
    ],
)
@pytest.mark.usefixtures("bare")
def test_a_wrong_command_is_told_what_to_pass(
    command: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(PHOTO)] if command[0] == "predict" else []
    assert main([*command[:2], *images, *command[2:]]) == 1
    told = capsys.readouterr()
    text = " ".join((told.err + told.out).split())
    assert advice in text
    assert "another machine" not in text


@pytest.mark.parametrize(
    "command", ["predict", "explain", "describe", "pull", "lock", "tune", "parity", "bundle export"]
)
def test_every_command_takes_what_describes_a_bare_file(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert [option for option in ("--labels", "--family", "--task", "--input-size", "--set") if option not in out] == []


@pytest.mark.parametrize("command", ["explain", "describe", "lock"])
@pytest.mark.usefixtures("bare")
def test_a_bare_file_that_is_described_works_in_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "det.onnx", *KNOWN, "--task", "object-detection", "--input-size", "64x64"]) == 0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("--conf", "--confidence"), ("--threshold=0.5", "--confidence"), ("--iou", "--iou-threshold"),
     ("--classes", "--class-filter"), ("--imgsz", "--image-size"), ("--task-type", None)],
)  # fmt: skip
def test_names_of_other_programs_lead_to_the_option(
    typed: str, meant: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "x.onnx", "y.jpg", typed, "1"]) == 2
    err = capfd.readouterr().err
    assert (f"(Possible options: {meant})" in err) == (meant is not None)
    assert "No such option" in err


@pytest.mark.parametrize(
    ("name", "advice"),
    [("https://host/bus.jpg?sig=secret", "curl -L -o bus.jpg URL"), ("my clip.MP4", "ffmpeg -i 'my clip.MP4'")],
)
def test_what_is_no_picture_gets_the_command_that_makes_one(
    name: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "centerface", name]) == 1
    err = capsys.readouterr().err
    assert advice in err
    assert "secret" not in err


@pytest.mark.parametrize("command", [["explain", "nothing-like-it"], ["predict", "centerface", "none.jpg"], ["pull"]])
def test_a_failing_command_with_json_writes_json(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*command, "--json"])
    told = json.loads(capsys.readouterr().out)["error"]
    assert (code, told["type"]) in {(1, "ModelNotFoundError"), (1, "ModelInputError"), (2, "UsageError")}
    assert told["summary"]


SINKS = ("full", "closed", "pipe")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("arguments", "sink"),
    [
        *((arguments, sink) for arguments in (["list"], ["cache", "ls", "--json"], ["--help"]) for sink in SINKS),
        (["explain", "centerface"], "pipe"),  # which asks every runtime of the machine
    ],
)
def test_output_that_cannot_be_written_is_one_line_and_status_1(arguments: list[str], sink: str) -> None:
    run = [sys.executable, "-m", "inference_models", *arguments]
    if sink == "full":
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: No space left on device\n")
    elif sink == "closed":
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *run], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: standard output is closed\n")
    else:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(run, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writer)
        assert done.returncode == 1
        assert done.stderr == "error: the output cannot be written: Broken pipe\n"
