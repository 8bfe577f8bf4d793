"""`gs://` against gcp-storage-emulator, `az://` against Azurite: servers on this machine that speak these protocols.

Both are skipped, with the reason, where the client (`gcsfs`, `adlfs`) or the server is not installed:
`pip install gcsfs adlfs gcp-storage-emulator`, `npm install --global azurite`.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from urllib.parse import quote

import pytest

from inference_models.errors import ModelNotFoundError, ModelRetrievalError
from inference_models.providers import open_provider
from providers.published_contract import PublishedContract

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of Azurite, printed in its documentation; it opens nothing else."""


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.setenv("API_CALLS_MAX_TRIES", "1")
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("AZURE_", "GOOGLE_", "FSSPEC_", "STORAGE_EMULATOR")):
            monkeypatch.delenv(name)


def ended(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture(scope="session")
def google():
    """URL of a server that speaks the protocol of Google Cloud Storage."""
    with pytest.MonkeyPatch.context() as patch:
        # Read when gcsfs is imported: else it asks for the kind of bucket over gRPC, which the server does not speak.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        pytest.importorskip("gcsfs", reason="gcsfs, the client of gs://, is not installed")
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator, the server for gs://, is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen([*command, "--in-memory"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/storage/v1/b?project=p", timeout=2).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        ended(process)


@pytest.fixture(scope="session")
def azure():
    """What connects a client to a server that speaks the protocol of Azure Blob Storage."""
    pytest.importorskip("adlfs", reason="adlfs, the client of az://, is not installed")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite-blob, the server for az://, is not installed")
    command = [program, "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        found = next(match for line in process.stdout if (match := re.search(r"listens on (http://\S+)", line)))
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={found[1]}/{ACCOUNT};"
        )
    finally:
        ended(process)


class TestGoogle(PublishedContract):
    @pytest.fixture
    def place(self, google, folder, monkeypatch):
        import fsspec

        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google)
        # What FSSPEC_GS_TOKEN=anon says to a process when it starts.
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        asked = urllib.request.Request(
            f"{google}/storage/v1/b?project=p", b'{"name": "shelf"}', {"Content-Type": "application/json"}
        )
        with suppress(urllib.error.HTTPError):  # there from the test before
            urllib.request.urlopen(asked).close()
        for path, content in folder.items():
            name = quote(f"team/{path}", safe="")
            url = f"{google}/upload/storage/v1/b/shelf/o?uploadType=media&name={name}"
            urllib.request.urlopen(
                urllib.request.Request(url, content, {"Content-Type": "application/octet-stream"})
            ).close()
        return "gs://shelf/team"

    def test_a_folder_that_is_not_there_is_said(self, place):
        missing(place)


class TestAzure(PublishedContract):
    @pytest.fixture
    def place(self, azure, folder, monkeypatch):
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContainerClient

        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure)
        with ContainerClient.from_connection_string(azure, "shelf") as container:
            with suppress(ResourceExistsError):  # there from the test before
                container.create_container()
            for path, content in folder.items():
                container.upload_blob(f"team/{path}", content, overwrite=True)
        return "az://shelf/team"

    def test_a_folder_that_is_not_there_is_said(self, place):
        missing(place)

    def test_a_key_that_is_wrong_is_said_and_not_shown(self, place, azure, monkeypatch):
        wrong = "Y2FuYXJ5Y2FuYXJ5"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure.replace(ACCOUNT_KEY, wrong))
        with closing(open_provider("az")) as provider, pytest.raises(ModelRetrievalError) as caught:
            provider.describe(place)
        assert str(caught.value).startswith(f"{place}/manifest.json cannot be read.\n")
        assert wrong not in str(caught.value)


def missing(place: str) -> None:
    with closing(open_provider(place.partition("://")[0])) as provider, pytest.raises(ModelNotFoundError) as caught:
        provider.describe(f"{place}/nothing")
    assert caught.value.summary == f"there is no {place}/nothing/manifest.json."
