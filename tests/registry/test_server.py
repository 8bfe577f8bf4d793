from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import threading
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest

from inference_models.registry.library import PackageLibrary
from registry.access_clock import Ticking
from registry.packages import serving, write_detector

KEY = "canary-key-31aa"
WEIGHTS = "/models/v1/external/weights"


@pytest.fixture
def library(tmp_path):
    root = tmp_path / "library"
    write_detector(root / "pets" / "fp32", quantization="fp32")
    write_detector(root / "pets" / "with-dash", score=0.8)
    write_detector(root / "team" / "cats" / "3")
    (root / "secret.txt").write_text("canary")
    (tmp_path / "outside.txt").write_text("canary")
    return root


@pytest.fixture
def server(library):
    with serving(library) as running:
        yield running


def ask(server, path, *, method="GET", **headers):
    """(status, headers in lower case, body) of one request on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def described(server, model_id, **headers):
    status, _, body = ask(server, f"{WEIGHTS}?modelId={model_id}", **headers)
    assert status == 200, body
    return json.loads(body)["modelMetadata"]


def file_path(metadata, handle="weights.onnx", package=0):
    files = metadata["modelPackages"][package]["packageFiles"]
    url = urlsplit(next(item["downloadUrl"] for item in files if item["fileHandle"] == handle))
    return url.path + (f"?{url.query}" if url.query else "")


class TestMetadata:
    def test_a_model_is_described_as_the_hosted_api_does(self, server, library):
        found = described(server, "pets")
        assert {key: found[key] for key in ("type", "modelId", "modelArchitecture", "taskType", "nextPage")} == {
            "type": "external-model-metadata-v1",
            "modelId": "pets",
            "modelArchitecture": "yolov8",
            "taskType": "object-detection",
            "nextPage": None,
        }
        package = next(item for item in found["modelPackages"] if item["packageId"] == "fp32")
        assert (package["type"], package["trustedSource"]) == ("external-model-package-v1", True)
        assert package["packageManifest"] == {
            "type": "onnx-model-package-v1",
            "backendType": "onnx",
            "quantization": "fp32",
            "dynamicBatchSize": True,
            "opset": 17,
        }
        # The public client refuses a package that brings its own model_config.json.
        handles = [file["fileHandle"] for file in package["packageFiles"]]
        assert handles == ["class_names.txt", "inference_config.json", "weights.onnx"]
        for file in package["packageFiles"]:
            content = (library / "pets" / "fp32" / file["fileHandle"]).read_bytes()
            assert file["md5Hash"] == hashlib.md5(content).hexdigest()
            assert file["sha256Hash"] == hashlib.sha256(content).hexdigest()
            assert file["sizeBytes"] == len(content)

    def test_a_folder_with_one_package_gets_an_id_that_changes_with_its_content(self, server, library):
        before = described(server, "team/cats/3")["modelPackages"]
        assert len(before) == 1
        assert described(server, "team%2Fcats%2F3")["modelPackages"] == before
        write_detector(library / "team" / "cats" / "3", score=0.7)
        assert described(server, "team/cats/3")["modelPackages"][0]["packageId"] != before[0]["packageId"]

    def test_pages_follow_each_other(self, server, library):
        for number in range(5):
            write_detector(library / "many" / f"p{number}")
        seen, cursor = [], None
        while True:
            following = f"&startAfter={cursor}" if cursor else ""
            _, _, body = ask(server, f"{WEIGHTS}?modelId=many&pageSize=2{following}")
            found = json.loads(body)["modelMetadata"]
            seen.append([item["packageId"] for item in found["modelPackages"]])
            cursor = found["nextPage"]
            if cursor is None:
                break
        assert seen == [["p0", "p1"], ["p2", "p3"], ["p4"]]

    @pytest.mark.parametrize(
        ("query", "status", "message"),
        [
            ("modelId=petz", 404, "there is no model 'petz' here; nearest: 'pets'."),
            ("modelId=../library/pets", 404, "there is no model '../library/pets' here."),
            ("modelId=%00", 404, "there is no model '\\x00' here."),
            ("modelId=/etc", 404, "there is no model '/etc' here."),
            ("", 400, "modelId is missing"),
            ("modelId=" + "x" * 600, 400, "modelId is missing"),
            ("modelId=pets&pageSize=0", 400, "pageSize is no number of packages"),
            ("modelId=pets&pageSize=x", 400, "pageSize is no number of packages"),
            ("modelId=%ff", 400, "the query cannot be read"),
            ("&".join("a=1" for _ in range(50)), 400, "the query cannot be read"),
        ],
    )
    def test_a_question_that_has_no_answer_says_why(self, server, query, status, message):
        found, headers, body = ask(server, f"{WEIGHTS}?{query}")
        assert (found, headers["content-type"]) == (status, "application/json")
        assert json.loads(body)["message"].startswith(message)

    def test_a_damaged_package_is_left_out_and_the_others_are_served(self, server, library, caplog):
        (library / "pets" / "fp32" / "weights.onnx").write_bytes(b"no graph")
        assert len(described(server, "pets")["modelPackages"]) == 1
        assert "pets/fp32 is not published" in caplog.text

    def test_a_stated_manifest_is_published_as_it_is(self, server, library):
        manifest = {
            "type": "torch-script-model-package-v1",
            "staticBatchSize": 1,
            "quantization": "fp16",
            "supportedDeviceTypes": ["cuda"],
            "torchVersion": "2.6",
        }
        (library / "pets" / "fp32" / "package_manifest.json").write_text(json.dumps(manifest))
        found = next(i for i in described(server, "pets")["modelPackages"] if i["packageId"] == "fp32")
        assert found["packageManifest"] == manifest
        assert "package_manifest.json" not in [item["fileHandle"] for item in found["packageFiles"]]

    def test_a_stated_manifest_that_is_wrong_is_not_published(self, server, library, caplog):
        (library / "pets" / "fp32" / "package_manifest.json").write_text('{"type": "onnx-model-package-v1"}')
        assert len(described(server, "pets")["modelPackages"]) == 1
        assert "needs a complete onnx-model-package-v1" in caplog.text


class TestNames:
    def test_a_package_with_a_name_that_clients_refuse_is_left_out(self, server, library, caplog):
        ids = [item["packageId"] for item in described(server, "pets")["modelPackages"]]
        address = file_path(described(server, "pets"), "class_names.txt", ids.index("fp32"))
        folder = library / "pets" / "fp32"
        (folder / "notes (1).txt").write_text("x")
        assert "fp32" not in {item["packageId"] for item in described(server, "pets")["modelPackages"]}
        assert ask(server, address)[0] == 404
        assert caplog.messages[0] == (
            "pets/fp32 is not published: the package lists a file name that is not safe.\n"
            "needs relative names of letters, digits, '.', '_' and '-', with forward slashes; found: 'notes (1).txt'"
        )
        (folder / "notes (1).txt").unlink()
        assert ask(server, address)[0] == 200

    @pytest.mark.skipif(os.name != "posix", reason="needs a file system with names that differ in case only")
    @pytest.mark.parametrize("name", ["WEIGHTS.onnx", "x" * 252], ids=["clashes elsewhere", "too long for an address"])
    def test_a_package_with_such_a_name_is_left_out_at_the_start(self, library, caplog, name):
        everything = PackageLibrary(library).warm()
        (library / "pets" / "fp32" / name).write_text("x")
        assert PackageLibrary(library).warm() == everything - 1
        assert "pets/fp32 is not published" in caplog.text


class TestFiles:
    def test_a_file_can_be_asked_about_and_read(self, server, library):
        path = file_path(described(server, "team/cats/3"))
        content = (library / "team/cats/3/weights.onnx").read_bytes()
        for method, body in (("HEAD", b""), ("GET", content)):
            status, headers, got = ask(server, path, method=method)
            assert (status, got) == (200, body)
            assert (headers["content-length"], headers["accept-ranges"]) == (str(len(content)), "bytes")
            assert headers["etag"].startswith('"')

    @pytest.mark.parametrize(
        ("stated", "start", "stop"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=5-", 5, None),
            ("bytes=5-9", 5, 10),
            ("bytes=-7", -7, None),
            ("bytes=5-99999999", 5, None),
        ],
    )
    def test_a_part_of_a_file_is_that_part(self, server, library, stated, start, stop):
        content = (library / "team/cats/3/weights.onnx").read_bytes()
        status, headers, got = ask(server, file_path(described(server, "team/cats/3")), Range=stated)
        assert (status, got) == (206, content[start:stop])
        first = start % len(content)
        assert headers["content-range"] == f"bytes {first}-{first + len(got) - 1}/{len(content)}"

    @pytest.mark.parametrize("stated", ["bytes=9-5", "bytes=0-1,5-6", "items=0-1", "bytes=-", "bytes=a-b", ""])
    def test_a_range_that_makes_no_sense_is_ignored(self, server, library, stated):
        status, _, got = ask(server, file_path(described(server, "team/cats/3")), Range=stated)
        assert (status, got) == (200, (library / "team/cats/3/weights.onnx").read_bytes())

    def test_a_part_behind_the_end_is_not_there(self, server, library):
        size = (library / "team/cats/3/weights.onnx").stat().st_size
        status, headers, got = ask(server, file_path(described(server, "team/cats/3")), Range=f"bytes={size}-")
        assert (status, headers["content-range"], got) == (416, f"bytes */{size}", b"")

    def test_a_part_of_another_version_is_the_whole_file(self, server, library):
        path = file_path(described(server, "team/cats/3"))
        etag = ask(server, path, method="HEAD")[1]["etag"]
        assert ask(server, path, Range="bytes=0-4", If_Range=etag)[0] == 206
        assert ask(server, path, If_None_Match=etag)[0] == 304
        os.utime(library / "team/cats/3/weights.onnx", ns=(1, 1))
        assert ask(server, path, Range="bytes=0-4", If_Range=etag)[0] == 200

    @pytest.mark.parametrize(
        "path",
        [
            "/files/../outside.txt",
            "/files/%2e%2e/outside.txt",
            "/files/pets/fp32/..%2f..%2f..%2foutside.txt",
            "/files/secret.txt",
            "/files//etc/passwd",
            "/files/pets/fp32/.hidden",
            "/files/pets/fp32",
            "/files/pets",
            "/files/",
            "/files/pets/fp32/out.txt",
            "/files/pets/fp32/pipe",
            "/files/linked/model_config.json",
            "/files/pets%00/fp32/weights.onnx",
            "/nothing",
            "//evil.example/files/pets/fp32/weights.onnx",
        ],
    )
    def test_nothing_but_files_of_packages_is_handed_out(self, server, library, tmp_path, path):
        (library / "pets/fp32/out.txt").symlink_to(tmp_path / "outside.txt")
        (library / "pets/fp32/.hidden").write_text("canary")
        os.mkfifo(library / "pets/fp32/pipe")
        write_detector(tmp_path / "elsewhere")
        (library / "linked").symlink_to(tmp_path / "elsewhere")
        status, _, body = ask(server, path)
        assert status == 404
        assert b"canary" not in body


class TestAccess:
    @pytest.fixture
    def clock(self):
        return Ticking()

    @pytest.fixture
    def server(self, library, clock):
        with serving(library, access=clock.access("other-key-1", KEY)) as running:
            yield running

    @pytest.mark.parametrize(
        ("authorization", "status", "message"),
        [
            (None, 401, "an API key is needed"),
            ("Bearer wrong", 401, "this API key is not known here"),
            (f"Basic {KEY}", 401, "this API key is not known here"),
            ("Bearer ", 401, "this API key is not known here"),
            (f"Bearer {KEY}", 200, None),
            (f"bearer  {KEY}", 200, None),
        ],
    )
    def test_questions_need_one_of_the_keys(self, server, authorization, status, message):
        headers = {"Authorization": authorization} if authorization else {}
        found, _, body = ask(server, f"{WEIGHTS}?modelId=pets", **headers)
        assert (found, json.loads(body).get("message")) == (status, message)

    def test_an_address_works_without_a_key_until_it_expires(self, server, clock):
        path = file_path(described(server, "pets", Authorization=f"Bearer {KEY}"))
        assert KEY not in path
        assert ask(server, path)[0] == 200
        clock.now += 3 * 3600
        status, _, body = ask(server, path)
        assert (status, json.loads(body)["message"]) == (
            403,
            "this address has expired, or was not made by this server",
        )
        assert ask(server, path, Authorization=f"Bearer {KEY}")[0] == 200

    def test_an_address_is_for_one_file_and_one_time(self, server):
        path = file_path(described(server, "pets", Authorization=f"Bearer {KEY}"))
        name, _, query = path.partition("?")
        for forged in (
            name,
            f"{name.replace('weights.onnx', 'class_names.txt')}?{query}",
            path.replace("expires=1", "expires=2"),
            f"{name}?expires=99999999999&signature=",
            f"{name}?expires=-1&signature=0",
            f"{path}0",
            f"{name}?" + "&".join(f"f{number}=1" for number in range(9)),
            f"{name}?" + "&" * 5_000,
        ):
            assert ask(server, forged)[0] == 403


class TestProtocol:
    def raw(self, server, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(data)
            got = b""
            with suppress(ConnectionResetError):
                while piece := connection.recv(65_536):
                    got += piece
            return got

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", b"400"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"405"),
            (
                b"GET /models/v1/external/weights?modelId=pets HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n",
                b"400",
            ),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 11_000, b"400"),
            (b"GET /" + b"a" * 70_000, b"400"),
            (b"GET / HTTP/1.0\r\n\r\n", b"200"),
        ],
    )
    def test_odd_requests_get_an_answer(self, server, request_, status):
        assert self.raw(server, request_).split(b" ", 2)[1] == status

    def test_addresses_of_files_are_those_the_client_reached(self, server):
        found = described(server, "pets", Host="models.example:8443")
        url = found["modelPackages"][0]["packageFiles"][0]["downloadUrl"]
        assert url.startswith("http://models.example:8443/files/pets/")

    def test_addresses_of_files_are_public_when_a_proxy_stands_in_front(self, library):
        with serving(library, public_url="https://models.example/registry/") as server:
            url = described(server, "pets")["modelPackages"][0]["packageFiles"][0]["downloadUrl"]
        assert url.startswith("https://models.example/registry/files/pets/")

    def test_a_request_that_runs_may_end_when_the_server_stops(self, library):
        big = library / "team/cats/3/extra.bin"
        big.write_bytes(bytes(64 << 20))
        with serving(library) as server:
            path = file_path(described(server, "team/cats/3"), "extra.bin")
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
                connection.request("GET", path)
                response = connection.getresponse()
                taken = len(response.read(1 << 20))
                server.stop()
                assert taken + len(response.read()) == 64 << 20

    @pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
    def test_a_client_that_never_ends_its_request_is_left(self, server, monkeypatch, begun):
        monkeypatch.setattr("inference_models.registry.server.SILENCE", 0.1)
        assert self.raw(server, begun) == b""

    def test_a_client_that_takes_nothing_of_its_answer_is_left(self, library, monkeypatch):
        (library / "team/cats/3/extra.bin").write_bytes(bytes(64 << 20))
        with serving(library) as server:
            path = file_path(described(server, "team/cats/3"), "extra.bin")
            monkeypatch.setattr("inference_models.registry.server.SILENCE", 0.1)
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                got = len(connection.recv(1))
                while server._server.server_state.connections:
                    threading.Event().wait(0.02)
                with suppress(ConnectionResetError):
                    while piece := connection.recv(1 << 20):
                        got += len(piece)
                assert got < 64 << 20
