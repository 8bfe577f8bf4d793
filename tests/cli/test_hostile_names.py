"""Whatever names, licences and descriptions strangers choose: a terminal shows them and does not obey them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest

import hosted
from inference_models.cache.manifest import Manifest, manifest_text
from inference_models.cli import main
from inference_models.cli.console import output
from inference_models.freeze.pull import pull_model
from registry.packages import write_detector

EVIL = "\x1b]0;owned\x07\x9b2J\r[red]x[/red]\x7f\u202e"
"""Sets a title, clears the screen, goes back to the beginning of the line, is markup, and turns the direction."""
SHOWN = "\\x1b]0;owned\\x07\\x9b2J\\r[red]x[/red]\\x7f\\u202e"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "cats"), asked_for="cats", license=EVIL)
    made.add(f"team/{EVIL}", hosted.detector_files(tmp_path / "evil", score=0.5), asked_for="evil", license=None)
    hosted.install(monkeypatch, {"host": made})
    monkeypatch.setattr("inference_models.cli.console.NARROWEST_TABLE", 1_000)
    return made


def typed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints on both streams; nothing in it steers a terminal."""
    capsys.readouterr()
    main(list(arguments))
    shown = "".join(capsys.readouterr())
    assert [character for character in shown if character != "\n" and not character.isprintable()] == []
    return shown


def stored_folder() -> Path:
    return next(Path(os.environ["INFERENCE_HOME"]).glob("packages/*/*"))


def test_the_console_of_the_commands_is_where_it_would_be_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    # Without this, the other tests could pass because something else takes the characters away.
    output().print(f"a{EVIL}", markup=False, soft_wrap=True)
    assert "\x1b" in capsys.readouterr().out


class TestCache:
    @pytest.fixture(autouse=True)
    def _stored(self, host: hosted.Hosted) -> None:
        pull_model("host:cats")
        manifest = stored_folder() / ".manifest.json"
        value = json.loads(manifest.read_text()) | {"provider": f"host{EVIL}"}
        manifest.write_text(manifest_text(msgspec.convert(value, Manifest)))

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["ls"], f"host{SHOWN}"),
            (["info", "team/cats/1"], f"host{SHOWN}:team/cats/1  package p1\n"),
            (["info", f"team{EVIL}"], "is not in the cache"),
            (["rm", "team/cats/1"], "freed"),
            (["gc", "--max-size", "0"], "freed"),
        ],
    )
    def test_commands(self, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
        assert said in typed(capsys, "cache", *arguments)

    def test_ls_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert json.loads(typed(capsys, "cache", "ls", "--json"))[0]["provider"] == f"host{EVIL}"

    @pytest.mark.skipif(os.name != "posix", reason="needs a file system that takes any name")
    def test_verify(self, capsys: pytest.CaptureFixture[str]) -> None:
        (stored_folder() / f"stray{EVIL.replace('/', '')}").write_text("x")
        shown = typed(capsys, "cache", "verify")
        assert f"host{SHOWN}:team/cats/1: stray" in shown
        assert "owned\\x07" in shown


@pytest.mark.parametrize("command", [["pull"], ["bundle", "export", "-o", "x"], ["lock", "-o", "x"]])
@pytest.mark.parametrize("model", ["host:cats", "host:evil", f"host:{EVIL}"])
@pytest.mark.usefixtures("host")
def test_fetching(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    model: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    typed(capsys, *command, model)


def test_a_bundle_of_a_stranger(
    host: hosted.Hosted, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "evil.bundle"
    typed(capsys, "bundle", "export", "host:cats", "-o", str(target))
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "other-machine"))
    assert typed(capsys, "bundle", "import", str(target), "--sha256", digest) == "host:cats  package p1\n"


def test_the_manifest_of_a_stranger(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_detector(tmp_path / "pets")
    typed(capsys, "manifest", str(tmp_path))
    value = json.loads((tmp_path / "manifest.json").read_text())
    value["models"]["pets"] |= {"license": EVIL, "description": EVIL, "source": EVIL}
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    assert f"  {SHOWN}\n" in typed(capsys, "manifest", str(tmp_path))
    typed(capsys, "pull", f"{tmp_path.as_uri()}#pets")


def test_a_folder_with_such_a_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = tmp_path / EVIL.replace("/", "")
    write_detector(root / "pets")
    assert SHOWN.split("[", maxsplit=1)[0] in typed(capsys, "manifest", str(root))
    assert "cannot be listened on" in typed(capsys, "registry", "serve", str(root), "--host", "192.0.2.1")
