"""Bundles: complete, the same every time, and harmless whatever is in them."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomli_w

import hosted
from inference_models import AutoModel
from inference_models.cli import main
from inference_models.entities import ModelDependency
from inference_models.errors import (
    CorruptedModelPackageError,
    FileHashSumMissmatch,
    ModelRetrievalError,
    NoCompatiblePackageError,
)
from inference_models.freeze.bundle import export_bundle, import_bundle
from inference_models.freeze.lockfile import parse_lock
from inference_models.freeze.pull import pull_model

IMAGE = np.zeros((64, 64, 3), np.uint8)
toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return hosted.detector_files(tmp_path / "made")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", files, asked_for="cats", license="Apache-2.0", source="somewhere")
    hosted.install(monkeypatch, {"host": made})
    return made


@pytest.fixture
def bundle(host: hosted.Hosted, tmp_path: Path) -> Path:
    """A bundle of `host:cats`; the cache is empty afterwards."""
    export_bundle(pull_model("host:cats"), tmp_path / "cats.bundle")
    shutil.rmtree(os.environ["INFERENCE_HOME"])
    host.down = True
    return tmp_path / "cats.bundle"


def cached_files() -> dict[str, bytes]:
    root = Path(os.environ["INFERENCE_HOME"]) / "packages"
    return {path.name: path.read_bytes() for path in root.glob("*/*/*") if path.name != ".manifest.json"}


class TestThereAndBack:
    @pytest.mark.parametrize("model_id", ["cats", "team/cats/1"])
    def test_a_model_moves_to_a_machine_without_a_network(
        self,
        host: hosted.Hosted,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        model_id: str,
    ) -> None:
        target = tmp_path / "m[red].bundle"
        assert main(["bundle", "export", "host:cats", "-o", str(target)]) == 0
        out, err = capsys.readouterr()
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        assert out == f"{target}: 1 package, 0.0 MB\nsha256 {digest}\n"
        assert err == ""

        monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "other-machine"))
        monkeypatch.setenv("OFFLINE_MODE", "1")
        host.down = True
        asked = list(host.described)
        assert main(["bundle", "import", str(target), "--sha256", digest.upper()]) == 0
        assert capsys.readouterr().out == "host:cats  package p1\n"
        with AutoModel.from_pretrained(f"host:{model_id}") as model:
            assert float(model(IMAGE)[0].confidence[0]) == pytest.approx(0.9)
        assert host.described == asked

    def test_the_files_arrive_unchanged(self, bundle: Path, files: dict[str, bytes]) -> None:
        (model,) = import_bundle(bundle).models
        assert (model.provider, model.asked_for, model.package) == ("host", "cats", "p1")
        assert cached_files() == files

    def test_a_second_import_changes_nothing(self, bundle: Path, files: dict[str, bytes]) -> None:
        import_bundle(bundle)
        weights = next(Path(os.environ["INFERENCE_HOME"]).glob("packages/*/*/weights.onnx"))
        before = weights.stat()
        import_bundle(bundle)
        assert weights.stat().st_ino == before.st_ino
        assert weights.stat().st_mtime_ns == before.st_mtime_ns

    def test_licences_and_lock_are_readable_with_any_zip_program(self, bundle: Path, files: dict[str, bytes]) -> None:
        with zipfile.ZipFile(bundle) as archive:
            assert archive.read("LICENSES.txt").decode() == "team/cats/1\n  licence: Apache-2.0\n  source: somewhere\n"
            lock = parse_lock(archive.read("models.lock").decode(), where="models.lock")
            blobs = sorted(name for name in archive.namelist() if name.startswith("blobs/"))
        assert lock.models[0].asked_for == "cats"
        assert blobs == sorted(f"blobs/{hashlib.sha256(data).hexdigest()}" for data in files.values())

    def test_the_same_models_make_the_same_bytes(self, host: hosted.Hosted, tmp_path: Path) -> None:
        for name in ("one", "two"):
            export_bundle(pull_model("host:cats"), tmp_path / name)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_models_that_are_needed_come_along_and_equal_files_once(
        self, host: hosted.Hosted, tmp_path: Path, files: dict[str, bytes]
    ) -> None:
        needs = [ModelDependency(name="cats", model_id="team/cats/1")]
        host.add("team/zoo/1", {**files, "class_names.txt": b"lion\ntiger\n"}, model_dependencies=needs)
        pulled = pull_model("host:team/zoo/1")
        assert [(item.model.model_id, item.direct) for item in pulled] == [("team/zoo/1", True), ("team/cats/1", False)]
        export_bundle(pulled, tmp_path / "zoo.bundle")
        with zipfile.ZipFile(tmp_path / "zoo.bundle") as archive:
            assert len([name for name in archive.namelist() if name.startswith("blobs/")]) == 5
        shutil.rmtree(os.environ["INFERENCE_HOME"])
        assert len(import_bundle(tmp_path / "zoo.bundle").models) == 2

    def test_a_damaged_package_is_not_exported(self, host: hosted.Hosted, tmp_path: Path) -> None:
        (pulled,) = pull_model("host:cats")
        (pulled.folder / "class_names.txt").write_bytes(b"cat\ncow\n")
        with pytest.raises(CorruptedModelPackageError, match="in the cache is damaged"):
            export_bundle([pulled], tmp_path / "cats.bundle")
        assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == []


class TestTrust:
    def test_without_the_hash_from_its_maker_a_bundle_is_not_trusted(
        self, bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OFFLINE_MODE", "1")
        assert main(["bundle", "import", str(bundle)]) == 0
        assert capsys.readouterr().err == (
            "nobody vouches for cats of this bundle: load with --allow-untrusted, or import with --sha256 and the hash "
            "that `bundle export` printed\n"
        )
        with pytest.raises(NoCompatiblePackageError, match="allow_untrusted_packages=True"):
            AutoModel.from_pretrained("host:cats")
        AutoModel.from_pretrained("host:cats", allow_untrusted_packages=True).close()

    def test_another_file_than_the_announced_one_is_refused(self, bundle: Path) -> None:
        with pytest.raises(FileHashSumMissmatch) as caught:
            import_bundle(bundle, sha256="0" * 64)
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
        assert str(caught.value) == f"{bundle} is another file.\nneeds sha256 {'0' * 64}; found: sha256 {digest}"


def test_a_licence_that_is_not_stated_is_said(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.add("free", hosted.detector_files(tmp_path / "free"), license=None)
    assert main(["bundle", "export", "host:free", "-o", str(tmp_path / "x.bundle")]) == 0
    assert capsys.readouterr().err == "free: no licence is stated\n"


@pytest.mark.parametrize("command", [["bundle", "export"], ["lock"]])
def test_a_place_that_cannot_be_written_is_said_before_anybody_is_asked(
    command: list[str], host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "nope" / "x"
    assert main([*command, "host:cats", "-o", str(target)]) == 1
    assert capsys.readouterr().err == (
        f"error: '{target}' cannot be written.\n"
        "needs a name in a folder that exists and may be written to; found: no such folder\n"
    )
    assert host.described == []


def rewritten(bundle: Path, change: Callable[[dict[zipfile.ZipInfo, bytes]], None]) -> Path:
    """A copy of the bundle with other members."""
    with zipfile.ZipFile(bundle) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    change(members)
    copy = bundle.with_name("changed.bundle")
    with zipfile.ZipFile(copy, "w") as archive:
        for info, data in members.items():
            archive.writestr(info, data, compress_type=info.compress_type)
    return copy


def member(name: str, *, mode: int = 0, compressed: bool = False) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    return info


def edit_lock(edit: Callable[[dict], None]) -> Callable[[dict[zipfile.ZipInfo, bytes]], None]:
    def change(members: dict[zipfile.ZipInfo, bytes]) -> None:
        info = next(info for info in members if info.filename == "models.lock")
        lock = toml.loads(members[info].decode())
        edit(lock)
        members[info] = tomli_w.dumps(lock).encode()

    return change


def without(prefix: str) -> Callable[[dict[zipfile.ZipInfo, bytes]], None]:
    def change(members: dict[zipfile.ZipInfo, bytes]) -> None:
        del members[next(info for info in members if info.filename.startswith(prefix))]

    return change


def adding(info: zipfile.ZipInfo, data: bytes = b"x") -> Callable[[dict[zipfile.ZipInfo, bytes]], None]:
    return lambda members: members.update({info: data})


BLOB = "blobs/" + "0" * 64


def test_a_bundle_of_an_earlier_version_which_had_an_index_is_imported(bundle: Path) -> None:
    old = rewritten(bundle, adding(member("bundle.json"), b"{}"))
    import_bundle(old)
    assert "weights.onnx" in cached_files()


class TestHostileBundles:
    @pytest.mark.parametrize(
        ("change", "found"),
        [
            (adding(member("../../evil.py")), "'../../evil.py': a name no bundle has"),
            (adding(member("/etc/passwd")), "'/etc/passwd': a name no bundle has"),
            (adding(member("C:/evil")), "'C:/evil': a name no bundle has"),
            (adding(member("blobs/../evil")), "'blobs/../evil': a name no bundle has"),
            (adding(member("blobs/")), "'blobs/': a name no bundle has"),
            (adding(member("models/x.py")), "'models/x.py': a name no bundle has"),
            (adding(member(BLOB, mode=stat.S_IFLNK | 0o777), b"/etc/passwd"), f"'{BLOB}': not a regular file"),
            (adding(member(BLOB, mode=stat.S_IFIFO)), f"'{BLOB}': not a regular file"),
            (adding(member(BLOB, compressed=True), b"0" * 10_000), f"'{BLOB}': compressed"),
            (adding(member(BLOB)), "1 bytes"),
            (without("blobs/"), "no blobs/"),
            (without("models.lock"), "an archive without it"),
            (edit_lock(lambda lock: lock["models"][0]["files"][0].update(size=1)), "8 bytes"),
        ],
    )
    def test_nothing_is_written_and_the_reason_is_said(
        self, bundle: Path, change: Callable[[dict[zipfile.ZipInfo, bytes]], None], found: str
    ) -> None:
        changed = rewritten(bundle, change)
        with pytest.raises(CorruptedModelPackageError) as caught:
            import_bundle(changed)
        text = str(caught.value)
        assert text.startswith("bundle 'changed.bundle' cannot be used.\nneeds ")
        assert f"; found: {found}" in text
        assert cached_files() == {}

    @pytest.mark.parametrize(
        "handle", ["../evil.py", "/evil", "a/../../b", "C:\\evil", "nul", ".manifest.json", "a\0b"]
    )
    def test_handles_that_lead_elsewhere_are_refused(self, bundle: Path, handle: str) -> None:
        changed = rewritten(bundle, edit_lock(lambda lock: lock["models"][0]["files"][0].update(handle=handle)))
        with pytest.raises(CorruptedModelPackageError, match="a file name that is not safe"):
            import_bundle(changed)
        assert cached_files() == {}

    def test_ids_that_lead_elsewhere_are_refused(self, bundle: Path) -> None:
        def edit(lock: dict) -> None:
            lock["models"][0]["package"] = "../../evil"
            lock["models"][0]["description"]["model_packages"][0]["package_id"] = "../../evil"

        with pytest.raises(CorruptedModelPackageError, match="an id that cannot be a folder name"):
            import_bundle(rewritten(bundle, edit_lock(edit)))
        assert cached_files() == {}

    @pytest.mark.parametrize(
        ("edit", "found"),
        [
            (lambda lock: lock["models"][0].update(package="other"), "'team/cats/1', ['p1']"),
            (lambda lock: lock["models"][0].update(description={}), "Object missing required field `model_id`"),
            (lambda lock: lock.update(run="x.py"), 'run: needs no such key; found: "x.py"'),
        ],
    )
    def test_a_lock_that_makes_no_sense_is_refused(
        self, bundle: Path, edit: Callable[[dict], None], found: str
    ) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            import_bundle(rewritten(bundle, edit_lock(edit)))
        assert f"; found: {found}" in str(caught.value)
        assert cached_files() == {}

    @pytest.mark.parametrize("size", [13 << 20, 0x06054B50, 1 << 30])
    @pytest.mark.parametrize("record", [b"PK\x05\x06" + b"\0" * 8, b"PK\x06\x06" + b"\0" * 36])
    def test_a_list_of_members_that_fills_the_memory_is_refused_before_it_is_read(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch, record: bytes, size: int
    ) -> None:
        monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("it was read"))
        bundle.write_bytes(bundle.read_bytes() + record + size.to_bytes(8, "little"))
        with pytest.raises(CorruptedModelPackageError, match=f"a list of members of at most .*; found: {size} bytes"):
            import_bundle(bundle)

    def test_a_member_twice_is_refused(self, bundle: Path) -> None:
        with zipfile.ZipFile(bundle, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("LICENSES.txt", "other")
        with pytest.raises(CorruptedModelPackageError, match=r"'LICENSES\.txt': twice"):
            import_bundle(bundle)

    def test_members_that_overlap_are_refused(self, bundle: Path) -> None:
        """Every entry of the directory at the end points at the largest member: a small file that grows."""
        data = bytearray(bundle.read_bytes())
        with zipfile.ZipFile(bundle) as archive:
            largest = max(archive.infolist(), key=lambda info: info.file_size)
        at = data.index(b"PK\x01\x02")
        while data[at : at + 4] == b"PK\x01\x02":
            name, extra, comment = (int.from_bytes(data[at + 28 + 2 * i : at + 30 + 2 * i], "little") for i in range(3))
            data[at + 20 : at + 28] = (1 << 20).to_bytes(4, "little") * 2
            data[at + 42 : at + 46] = largest.header_offset.to_bytes(4, "little")
            at += 46 + name + extra + comment
        bundle.write_bytes(bytes(data))
        with pytest.raises(CorruptedModelPackageError, match="bytes in its members"):
            import_bundle(bundle)

    def test_a_changed_blob_is_refused_and_not_kept(self, bundle: Path, files: dict[str, bytes]) -> None:
        def swap(members: dict[zipfile.ZipInfo, bytes]) -> None:
            info = next(info for info, data in members.items() if data == files["weights.onnx"])
            data = bytearray(members[info])
            data[50] ^= 1
            members[info] = bytes(data)

        with pytest.raises(FileHashSumMissmatch, match=r"^weights\.onnx is not the file that was announced"):
            import_bundle(rewritten(bundle, swap))
        assert "weights.onnx" not in cached_files()

    @pytest.mark.parametrize("keep", [0, 1, 30, 0.5, 0.99])
    def test_a_bundle_that_was_cut_off_is_refused(self, bundle: Path, keep: float) -> None:
        data = bundle.read_bytes()
        bundle.write_bytes(data[: int(keep if keep >= 1 or keep == 0 else keep * len(data))])
        with pytest.raises(CorruptedModelPackageError, match="needs an undamaged file that"):
            import_bundle(bundle)

    def test_a_flipped_byte_anywhere_is_refused_or_harmless(self, bundle: Path, files: dict[str, bytes]) -> None:
        """One byte in each of 25 places; what is imported all the same has the right content."""
        data = bundle.read_bytes()
        refused = 0
        for at in range(0, len(data), max(1, len(data) // 25)):
            changed = bytearray(data)
            changed[at] ^= 0x41
            bundle.write_bytes(bytes(changed))
            try:
                import_bundle(bundle)
            except (CorruptedModelPackageError, ModelRetrievalError):
                refused += 1
            else:
                assert cached_files() == files
            shutil.rmtree(os.environ["INFERENCE_HOME"], ignore_errors=True)
        assert refused > 8

    def test_what_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            import_bundle(tmp_path / "none.bundle")
        assert str(caught.value) == (
            "bundle 'none.bundle' cannot be used.\n"
            "needs an undamaged file that `inference-models bundle export` wrote; found: No such file or directory\n"
            "write it: inference-models bundle export MODEL -o FILE"
        )
