"""`require_parity=True`: what is opened, what is not, and what is said."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

import hosted
from inference_models import AutoModel
from inference_models.backends import find_backend
from inference_models.cache.facts import CHECKSUM
from inference_models.cache.store import PackageStore
from inference_models.entities import BackendType, Quantization
from inference_models.errors import (
    EnvironmentConfigurationError,
    MissingParityCertificateError,
    ModelPackageAlternativesExhaustedError,
)
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity import require
from inference_models.parity.check import ParityOptions, check_parity
from inference_models.parity.images import probe_set
from parity import packages
from parity.packages import read_certificate, write_certificate

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "host:m"
IMAGE = np.full((64, 64, 3), 200, np.uint8)
ONNX_ONLY = PackageRequest(backends=(BackendType.ONNX,), quantizations=frozenset(Quantization))
VERSION = find_backend(BackendType.ONNX).RUNTIME.installed_version()
NEEDS = f"needs a parity certificate of these files in ONNX Runtime {VERSION} on cpu"
FIX = f"inference-models parity {MODEL}"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("m", packages.as_files(packages.detector(tmp_path / "made" / "weights.onnx")), package_id="a1")
    hosted.install(monkeypatch, {"host": made})
    return made


def certify(**options: Any) -> list[Path]:
    report = check_parity(MODEL, ParityOptions(**{"request": ONNX_ONLY, "images": probe_set(1), **options}))
    return [row.file for row in report.rows if row.file is not None]


def load(**options: Any) -> Any:
    return AutoModel.from_pretrained(MODEL, **{"backend": "onnx", "require_parity": True, **options})


def refusal(**options: Any) -> str:
    with pytest.raises(MissingParityCertificateError) as caught:
        load(**options)
    return str(caught.value)


def test_without_a_certificate_nothing_is_opened_and_the_command_is_named(host: hosted.Hosted) -> None:
    assert refusal() == (f"'host:m' is not vouched for on this machine.\n{NEEDS}; found: none\n{FIX}")


def test_with_one_the_model_loads_and_predicts(host: hosted.Hosted) -> None:
    certify()
    with load() as model:
        assert len(model(IMAGE)[0]) > 0
        assert model.resolved_model.model_package_id == "a1"


def test_it_is_asked_for_only_where_it_is_wanted(host: hosted.Hosted) -> None:
    load(require_parity=False).close()


def test_the_error_is_one_that_the_machine_explains() -> None:
    assert issubclass(MissingParityCertificateError, EnvironmentConfigurationError)


def test_a_certificate_that_failed_says_why_it_did(host: hosted.Hosted, tmp_path: Path) -> None:
    wrong = packages.shifted_boxes(0.5)(packages.detector(tmp_path / "made" / "weights.onnx"))
    host.add("m", packages.as_files(wrong), package_id="b2")
    certify()
    text = refusal(model_package_id="b2")
    assert text.split("\n")[1] == (f"{NEEDS}; found: one that failed: boxes differ by up to 5.00 px (allowed: 0.5)")


def test_a_number_format_without_a_gate_is_not_vouched_for(host: hosted.Hosted, tmp_path: Path) -> None:
    weights = packages.detector(tmp_path / "made" / "weights.onnx")
    host.add("m", packages.as_files(weights), package_id="b2", quantization=Quantization.INT8)
    certify()
    text = refusal(model_package_id="b2", quantization="int8")
    assert text.split("\n")[1] == f"{NEEDS}; found: one that failed: there is no gate for its number format"


def test_the_next_candidate_that_has_one_is_opened(host: hosted.Hosted, tmp_path: Path) -> None:
    weights = packages.detector(tmp_path / "made" / "weights.onnx")
    host.add("m", packages.as_files(weights), package_id="b2")
    first, _ = certify()
    first.unlink()
    with load() as model:
        assert model.resolved_model.model_package_id == "b2"


def test_where_none_has_one_all_are_named(host: hosted.Hosted, tmp_path: Path) -> None:
    host.add("m", packages.as_files(packages.detector(tmp_path / "made" / "weights.onnx")), package_id="b2")
    with pytest.raises(ModelPackageAlternativesExhaustedError) as caught:
        load()
    why = f"'host:m' is not vouched for on this machine ({NEEDS}; found: none)"
    assert str(caught.value) == (
        "2 packages of 'm' fit this machine and none could be opened.\n"
        f"  weights.onnx of a1 (fp32) in ONNX Runtime: {why}\n"
        f"  weights.onnx of b2 (fp32) in ONNX Runtime: {why}\n"
        f"{FIX}"
    )


def test_other_files_under_the_same_name_need_a_new_certificate(host: hosted.Hosted, tmp_path: Path) -> None:
    certify()
    changed = packages.detector(tmp_path / "made" / "weights.onnx", least=0.21)
    host.models.clear()
    host.add("m", packages.as_files(changed), package_id="a1")
    assert f"{NEEDS}; found: one of other files" in refusal(use_auto_resolution_cache=False)


def test_another_machine_needs_its_own(host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    certify()
    monkeypatch.setattr(require, "machine_fingerprint", lambda environment: "another")
    assert (
        f"{NEEDS}; found: one of another machine, or from before something was installed or removed here" in refusal()
    )


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [("runtime_version", "1.0.0", "one of ONNX Runtime 1.0.0"), ("device", "cuda:0", "one of cuda:0")],
)
def test_another_version_or_device_needs_its_own(host: hosted.Hosted, field: str, value: str, found: str) -> None:
    (path,) = certify()
    certificate = read_certificate(path)
    changed = structs.replace(certificate, subject=structs.replace(certificate.subject, **{field: value}))
    write_certificate(path, changed)
    assert f"{NEEDS}; found: {found}" in refusal()


def test_named_execution_providers_are_the_same_as_those_in_use(host: hosted.Hosted) -> None:
    (path,) = certify()
    load(onnx_execution_providers=["CPUExecutionProvider"]).close()
    certificate = read_certificate(path)
    subject = structs.replace(certificate.subject, execution_providers=("Other", "CPUExecutionProvider"))
    write_certificate(path, structs.replace(certificate, subject=subject))
    text = refusal(onnx_execution_providers=["CPUExecutionProvider"])
    assert "; found: one of Other, CPUExecutionProvider" in text


def test_execution_providers_with_other_options_need_their_own(host: hosted.Hosted) -> None:
    plain, aligned, other = (
        [("CPUExecutionProvider", options)] for options in ({}, {"use_arena": "1"}, {"use_arena": "0"})
    )
    _, path = certify(execution_providers=tuple(aligned))  # and the reference, without options
    load(onnx_execution_providers=aligned).close()
    load(onnx_execution_providers=[("CPUExecutionProvider", {"use_arena": 1})]).close()  # runtimes take texts
    for named in (plain, ["CPUExecutionProvider"], None):
        load(onnx_execution_providers=named).close()
    text = refusal(onnx_execution_providers=other)
    assert text.split("\n")[1] == f"{NEEDS}; found: one of CPUExecutionProvider with other options"
    certify(execution_providers=tuple(other))
    load(onnx_execution_providers=other).close()
    load(onnx_execution_providers=aligned).close()
    path.unlink()
    assert "with other options" in refusal(onnx_execution_providers=aligned)


def test_a_damaged_certificate_counts_as_none_and_is_told(
    host: hosted.Hosted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = packages.shifted_boxes(0.5)(packages.detector(tmp_path / "made" / "weights.onnx"))
    host.add("m", packages.as_files(wrong), package_id="b2")
    _, path = certify()
    path.write_bytes(path.read_bytes().replace(b'"passed": false', b'"passed": true'))
    with caplog.at_level(logging.WARNING):
        assert "; found: none" in refusal(model_package_id="b2")
    assert f"{path}: parity certificate ignored: its checksum does not match" in caplog.messages


@pytest.mark.parametrize(("change", "found"), [({"schema_version": 2}, "; found: none"), ({"weather": "fine"}, "")])
def test_a_later_release_may_add_fields_but_not_change_the_schema(
    host: hosted.Hosted, change: dict[str, Any], found: str
) -> None:
    (path,) = certify()
    content = {**json.loads(path.read_bytes()), **change}
    del content[CHECKSUM]
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**content, CHECKSUM: checksum}))
    if found:
        assert found in refusal()
    else:
        load().close()


def test_it_holds_without_a_network(host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    certify()
    load().close()
    monkeypatch.setenv("OFFLINE_MODE", "1")
    host.down = True
    load().close()


def test_a_remembered_package_without_one_gives_way_to_another_that_has_one(
    host: hosted.Hosted, tmp_path: Path
) -> None:
    host.add("m", packages.as_files(packages.detector(tmp_path / "made" / "weights.onnx")), package_id="b2")
    load(require_parity=False).close()  # a1 is remembered
    first, _ = certify()
    first.unlink()
    with load() as model:
        assert model.resolved_model.model_package_id == "b2"


def test_a_locked_model_is_held_to_it_too(host: hosted.Hosted, tmp_path: Path) -> None:
    from inference_models.cli import main

    lock = str(tmp_path / "models.lock")
    assert main(["lock", MODEL, "--output", lock]) == 0
    with pytest.raises(MissingParityCertificateError):
        AutoModel.from_lock(lock, require_parity=True)
    certify()
    AutoModel.from_lock(lock, require_parity=True).close()


def test_a_folder_of_the_user_is_known_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    files = packages.as_files(packages.detector(tmp_path / "made" / "weights.onnx"))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    options = ParityOptions(request=ONNX_ONLY, images=probe_set(2))
    assert check_parity(folder, options).passed
    AutoModel.from_pretrained(folder, backend="onnx", require_parity=True).close()
    moved = folder.rename(tmp_path / "moved")
    AutoModel.from_pretrained(moved, backend="onnx", require_parity=True).close()
    (moved / "class_names.txt").write_text("dog\ncat\n")
    with pytest.raises(MissingParityCertificateError) as caught:
        AutoModel.from_pretrained(moved, backend="onnx", require_parity=True)
    assert str(caught.value).endswith(f"; found: none\ninference-models parity {moved}")


def test_a_bare_graph_is_known_by_the_data_it_points_to_too(tmp_path: Path) -> None:
    path = packages.with_data_outside(tmp_path, packages.detector(tmp_path / "made" / "weights.onnx"))
    stated = {"labels": ["cat", "dog"], "model_type": "yolov8"}
    options = ParityOptions(request=ONNX_ONLY, images=probe_set(2), load=LoadOptions(**stated))
    assert check_parity(path, options).passed
    with AutoModel.from_pretrained(path, backend="onnx", require_parity=True, **stated) as model:
        assert [len(found) for found in model([IMAGE, IMAGE])] == [len(model(IMAGE)[0])] * 2
    data = path.with_name("outside.bin")
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(MissingParityCertificateError) as caught:
        AutoModel.from_pretrained(path, backend="onnx", require_parity=True, **stated)
    assert str(caught.value).endswith(f"; found: none\ninference-models parity {path}")


def test_a_bare_openvino_graph_is_known_by_both_its_files(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "best.xml"
    packages.detector(tmp_path / "made" / "weights.onnx")
    openvino.save_model(
        openvino.convert_model(str(tmp_path / "made" / "weights.onnx")), str(path), compress_to_fp16=False
    )
    stated = {"labels": ["cat", "dog"], "model_type": "yolov8"}
    assert check_parity(path, ParityOptions(images=probe_set(1), load=LoadOptions(**stated))).passed
    AutoModel.from_pretrained(path, require_parity=True, **stated).close()
    data = path.with_suffix(".bin")
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(MissingParityCertificateError):
        AutoModel.from_pretrained(path, require_parity=True, **stated)


def test_certificates_go_with_their_package_and_stay_without_reason_to_go(host: hosted.Hosted) -> None:
    (path,) = certify()
    store = PackageStore()
    stray = path.with_name("gone.onnx.cpu.json")
    other = path.parent.parent / "gone-model" / "a1.onnx.cpu.json"
    local = path.parent.parent / "local" / "feed.onnx.cpu.json"
    for file in (stray, other, local):
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")
    store.gc()
    assert (path.is_file(), stray.exists(), other.parent.exists(), local.is_file()) == (True, False, False, True)
    assert all(item.ok for item in store.verify())
    (package,) = store.packages()
    assert store.remove(package.key)
    assert not path.parent.exists()


def test_making_room_takes_certificates_along(host: hosted.Hosted) -> None:
    (path,) = certify()
    assert PackageStore().gc(quota=0).packages == 1
    assert not path.exists()
