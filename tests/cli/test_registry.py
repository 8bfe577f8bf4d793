from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from inference_models.cli.registry import KEYS_VARIABLE, _keys
from registry.packages import write_detector

COMMAND = "from inference_models.cli.registry import registry; registry()"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_folder_is_served_until_it_is_asked_to_stop(tmp_path, how):
    write_detector(tmp_path / "library" / "pets")
    environment = {**os.environ, "INFERENCE_MODELS_REGISTRY_KEYS": "key-of-mine"}
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
            begin = time.monotonic()
            process.send_signal(how)
            assert process.wait(5) == 0
            assert time.monotonic() - begin < 6
            assert process.stderr.read() == "stopped\n"
        finally:
            process.kill()


def refusal(tmp_path, *options, **variables) -> tuple[int, str]:
    """Exit code, and what is said on standard error as one line without the frame."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **variables}
    arguments = [sys.executable, "-c", COMMAND, "serve", str(tmp_path), "--port", "0", *options]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False, env=environment)
    return done.returncode, " ".join(re.sub(r"[^\x20-\x7e]+", " ", done.stderr).split())


@pytest.mark.parametrize("value", ["", "  ", " , "])
def test_a_blank_variable_of_keys_does_not_let_everybody_in(tmp_path, value):
    code, said = refusal(tmp_path, INFERENCE_MODELS_REGISTRY_KEYS=value)
    assert code == 2
    assert (
        "INFERENCE_MODELS_REGISTRY_KEYS holds no key; without keys everybody is let in, so leave it out for that"
    ) in said


@pytest.mark.parametrize("options", [["--api-key", ""], ["--api-key", "good", "--api-key", " "]])
def test_a_blank_key_does_not_let_everybody_in(tmp_path, options):
    code, said = refusal(tmp_path, *options)
    assert code == 2
    assert "--api-key holds no key; without keys everybody is let in, so leave it out for that" in said


def test_a_key_that_no_client_can_send_is_refused_without_showing_it(tmp_path):
    code, said = refusal(tmp_path, "--api-key", "geh\u00e4im")
    assert code == 2
    assert "--api-key holds a key that no client can send; use printable ASCII characters" in said
    assert "geh" not in said


@pytest.mark.parametrize(
    ("stated", "variable", "keys"),
    [
        (None, "k1,k2", ("k1", "k2")),
        (None, " k1, k2\nk3 ", ("k1", "k2", "k3")),
        (["a,b"], "k1", ("a,b",)),
        (None, None, ()),
    ],
)
def test_the_variable_may_hold_several_keys(monkeypatch, stated, variable, keys):
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(KEYS_VARIABLE, variable)
    assert _keys(stated) == keys


def test_an_address_that_is_taken_is_an_error_in_words(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = [sys.executable, "-c", COMMAND, "serve", str(tmp_path), "--port", str(port)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert f"127.0.0.1 port {port} cannot be listened on." in done.stderr


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
