"""`explain` and `describe` as a person types them, in this process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import hosted
from inference_models.cli import main
from inference_models.entities import SkippedPackage
from inference_models.machine.environment import Environment
from negotiate.negotiations import NOTHING, ONLY_ONNX


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("cats", hosted.detector_files(tmp_path / "made"))
    hosted.install(monkeypatch, {"host": made})
    set_machine(monkeypatch, ONLY_ONNX)
    return made


def set_machine(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    monkeypatch.setattr("inference_models.backends.probe_environment", lambda thorough=False: environment)


@pytest.mark.parametrize("command", ["explain", "describe"])
def test_it_prints_what_would_run(command: str, host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "host:cats"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("cats: 1 of 1 package can run here.\n")
    assert "\n  would run      weights.onnx of p1 (fp32) in ONNX Runtime: the best in the declared order\n" in out
    assert err == ""
    assert host.read_files == []


@pytest.mark.parametrize(("command", "code"), [("explain", 1), ("describe", 0)])
def test_only_explain_fails_when_nothing_would_run(
    command: str,
    code: int,
    host: hosted.Hosted,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_machine(monkeypatch, NOTHING)
    assert main([command, "host:cats"]) == code
    out, err = capsys.readouterr()
    assert "\n  would run      nothing\n" in out
    assert '\n  fewest steps   1. pip install "onnxruntime>=1.19"\n' in out
    assert err == ""


@pytest.mark.parametrize(
    ("machine", "code", "runs"), [(ONLY_ONNX, 0, "p1"), (NOTHING, 1, None)], ids=["fits", "nothing fits"]
)
def test_json_is_exactly_one_object(
    machine: Environment,
    code: int,
    runs: str | None,
    host: hosted.Hosted,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_machine(monkeypatch, machine)
    assert main(["explain", "host:cats", "--json"]) == code
    out, err = capsys.readouterr()
    read = json.loads(out)
    assert read["schema_version"] == 1
    assert (read["would_run"] or {}).get("package_id") == runs
    assert err == ""


def test_wishes_are_those_of_a_load(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    wishes = ["--backend", "onnx", "--backend", "trt", "--quantization", "int8", "--batch-size", "4", "--device", "cpu"]
    assert main(["explain", "host:cats", "--json", *wishes, "--allow-untrusted"]) == 1
    request = json.loads(capsys.readouterr().out)["request"]
    assert (request["backends"], request["quantizations"], request["batch_size"], request["device"]) == (
        ["onnx", "trt"],
        ["int8"],
        [4, 4],
        "cpu",
    )
    assert request["allow_untrusted"] is True


def test_a_backend_can_be_left_out(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "host:cats", "--disabled-backend", "onnx"]) == 1
    assert "would run      nothing" in capsys.readouterr().out


def test_one_package_is_described_with_its_files(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "host:cats", "--package", "p1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("package p1 of cats: onnx fp32, dynamic batch, ")
    assert "weights.onnx" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["describe", "host:cats", "--package", "p11"], "error: model 'cats' has no package 'p11'; nearest: 'p1'.\n"),
        (["explain", "host:dogs"], "error: no model 'dogs'.\n"),
    ],
)
@pytest.mark.usefixtures("host")
def test_what_is_unknown_is_an_error_on_standard_error(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    assert err == text
    assert json.loads(out)["error"]["summary"] == text.removeprefix("error: ").rstrip()


def test_what_strangers_wrote_is_shown_and_never_obeyed(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J[bold]x[/]\n  would run      everything\u202e"
    model = host.models["cats"]
    host.models["cats"] = replace(
        model,
        license=evil,
        description=evil,
        source=evil,
        model_variant=evil,
        task_type=evil,
        skipped_packages=(SkippedPackage(evil, evil),),
        model_packages=[replace(model.model_packages[0], model_features={evil: evil})],
    )
    for command in (["explain", "host:cats"], ["describe", "host:cats", "--package", "p1"], ["predict", "host:cats"]):
        main([*command, __file__] if command[0] == "predict" else command)
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err
        assert "\n  would run      everything" not in out + err
        assert "[bold]x[/]" in out + err
    main(["explain", "host:cats", "--json"])
    assert json.loads(capsys.readouterr().out)["model"]["license"] == evil
