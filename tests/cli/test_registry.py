from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from inference_models.cli import main
from inference_models.cli.registry import KEYS_VARIABLE
from registry.packages import write_detector

COMMAND = "from inference_models.cli.registry import registry; registry()"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_folder_is_served_until_it_is_asked_to_stop(tmp_path, how):
    write_detector(tmp_path / "library" / "pets")
    environment = {**os.environ, KEYS_VARIABLE: " another-key, key-of-mine\n"}
    arguments = [sys.executable, "-c", COMMAND, "serve", str(tmp_path / "library"), "--port", "0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr.readline() == f"serving 1 package of '{tmp_path / 'library'}'\n"
            url = re.fullmatch(r"  export ROBOFLOW_API_HOST=(http://127\.0\.0\.1:\d+)\n", process.stderr.readline())[1]
            question = f"{url}/models/v1/external/weights?modelId=pets"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(question, timeout=5)
            request = urllib.request.Request(question, headers={"Authorization": "Bearer key-of-mine"})
            with urllib.request.urlopen(request, timeout=5) as response:
                assert response.status == 200
            process.send_signal(how)
            assert process.wait(30) == 0
            assert process.stderr.read() == "stopped\n"
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("variable", "options", "text"),
    [
        ("", [], f"{KEYS_VARIABLE} holds no key; without keys everybody is let in, so leave it out for that"),
        (" , ", [], f"{KEYS_VARIABLE} holds no key"),
        (None, ["--api-key", ""], "--api-key holds no key; without keys everybody is let in"),
        (None, ["--api-key", "good", "--api-key", " "], "--api-key holds no key"),
        (None, ["--api-key", "geh\u00e4im"], "--api-key holds a key that no client can send; use printable ASCII"),
    ],
)
def test_a_key_that_is_none_is_refused_without_showing_it(tmp_path, monkeypatch, capsys, variable, options, text):
    monkeypatch.setenv("COLUMNS", "200")
    if variable is not None:
        monkeypatch.setenv(KEYS_VARIABLE, variable)
    assert main(["registry", "serve", str(tmp_path), "--port", "0", *options]) == 2
    said = capsys.readouterr().err
    assert text in " ".join(re.sub(r"[^\x20-\x7e]+", " ", said).split())
    assert "geh" not in said


def test_an_address_that_is_taken_is_an_error_in_words(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["registry", "serve", str(tmp_path), "--port", str(port)]) == 1
    assert f"127.0.0.1 port {port} cannot be listened on." in capsys.readouterr().err


def test_a_server_that_is_not_installed_is_an_error_with_the_command(tmp_path, monkeypatch):
    from inference_models.cli.registry import serve
    from inference_models.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "inference_models.registry.server", raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        serve(tmp_path)
    assert str(caught.value) == (
        "a registry cannot be served.\nneeds starlette>=1.0 and uvicorn>=0.30; found: no module 'uvicorn'\n"
        'pip install "starlette>=1.0" "uvicorn>=0.30"'
    )
