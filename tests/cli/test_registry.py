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

from registry.packages import write_detector

COMMAND = "from inference_models.cli.registry import registry; registry()"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_folder_is_served_until_it_is_asked_to_stop(tmp_path, how):
    write_detector(tmp_path / "library" / "pets")
    environment = {**os.environ, "INFERENCE_MODELS_REGISTRY_KEYS": "key-of-mine"}
    arguments = [sys.executable, "-c", COMMAND, "serve", str(tmp_path / "library"), "--port", "0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr.readline() == f"serving 1 model ids of '{tmp_path / 'library'}'\n"
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
            assert time.monotonic() - begin < 2
            assert process.stderr.read() == "stopped\n"
        finally:
            process.kill()


def test_an_address_that_is_taken_is_an_error_in_words(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = [sys.executable, "-c", COMMAND, "serve", str(tmp_path), "--port", str(port)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert f"127.0.0.1 port {port} cannot be listened on." in done.stderr
