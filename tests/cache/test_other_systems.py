"""Windows, macOS and foreign file systems, as far as they can be played on this one."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cache.test_store import CONTENT, FILES, KEY, Source, assert_complete, no_source
from inference_models.cache import stamps as stamps_module
from inference_models.cache import store as store_module
from inference_models.cache import workspace
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.cli import main
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError
from inference_models.files import durable
from inference_models.files.durable import write_atomic
from inference_models.files.regular import is_link

if TYPE_CHECKING:
    from collections.abc import Callable

ACCESS_DENIED = 13


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageStore:
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "root"))
    return PackageStore(tmp_path / "root")


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """A virus scanner holds every fresh file open for a moment: the first three moves to each place are denied."""
    met: dict[Path, int] = {}
    replace = Path.replace

    def denied(self: Path, target: Path) -> Path:
        met[target] = met.get(target, 0) + 1
        if met[target] <= 3:
            raise PermissionError(ACCESS_DENIED, "Access is denied", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", denied)
    return met


def refuse(*_: object) -> None:
    raise PermissionError(ACCESS_DENIED, "Access is denied")


class Share:
    """Files that another process holds open, as Windows treats them: they cannot be moved or removed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held: set[Path] = set()
        for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (os, "unlink"), (os, "rmdir")):
            monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name)))
        monkeypatch.setattr(shutil, "rmtree", self._guarded(shutil.rmtree))
        monkeypatch.setattr(durable, "_MOVE_S", 0.05)

    def _guarded(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Path, *arguments: Any, **options: Any) -> Any:
            place = Path(path)
            held = any(item == place or (place.is_absolute() and place in item.parents) for item in self.held)
            if held and options.get("ignore_errors"):
                return None
            if held:
                raise PermissionError(ACCESS_DENIED, "The process cannot access the file", str(place))
            return original(path, *arguments, **options)

        return guarded


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Share:
    return Share(monkeypatch)


def test_a_package_is_stored_though_every_move_is_denied_for_a_moment(
    store: PackageStore, scanner: dict[Path, int]
) -> None:
    folder = store.ensure(KEY, FILES, Source())
    assert_complete(folder)
    assert {folder / "weights.onnx", folder / ".manifest.json"} <= set(scanner)


def test_small_files_are_put_in_place_though_every_move_is_denied_for_a_moment(
    tmp_path: Path, scanner: dict[Path, int]
) -> None:
    write_atomic(tmp_path / "x", b"1")
    assert (tmp_path / "x").read_bytes() == b"1"


def test_a_denial_that_lasts_ends_in_words_and_leaves_no_package(
    store: PackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(durable, "_MOVE_S", 0.05)
    with pytest.raises(EnvironmentConfigurationError, match="found: Access is denied"):
        store.ensure(KEY, FILES, Source())
    assert store.open(KEY) is None


def test_missing_rights_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(durable.time, "sleep", lambda _: pytest.fail("waited for rights"))
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        durable.move(tmp_path / "a", tmp_path / "b")


def test_rm_leaves_what_is_open_says_so_and_takes_the_rest(
    store: PackageStore, share: Share, capsys: pytest.CaptureFixture[str]
) -> None:
    other = PackageKey("test", "other", "p1")
    store.ensure(KEY, FILES, Source())
    store.ensure(other, FILES, Source())
    share.held.add(store.folder_of(KEY) / "weights.onnx")
    assert main(["cache", "rm", "--all"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "package 'p1' of 'm' stays in the cache: it is open." in said
    assert "end the programs that use the model, then run again" in said
    assert store.find(other) is None
    assert store.find(KEY) is not None
    share.held.clear()
    assert main(["cache", "rm", "--all"]) == 0
    assert store.packages() == []


def test_gc_leaves_what_is_open_says_so_and_comes_back(
    store: PackageStore, share: Share, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.ensure(KEY, FILES, Source())
    (folder.parent / "half").mkdir()
    (folder.parent / "half" / "x").touch()
    share.held |= {folder / "weights.onnx", folder.parent / "half" / "x"}
    assert main(["cache", "gc", "--max-size", "1MB"]) == 0
    assert f"{folder.parent / 'half'} stays: another process uses it" in " ".join(capsys.readouterr().err.split())
    assert store.gc(quota=0).skipped == (folder.parent / "half", folder)
    share.held.clear()
    done = store.gc(quota=0)
    assert (done.packages, done.orphans, done.skipped) == (1, 1, ())


def test_repair_of_what_another_process_holds_open_ends_in_words_and_works_later(
    store: PackageStore, share: Share
) -> None:
    folder = store.ensure(KEY, FILES, Source())
    (folder / "weights.onnx").write_bytes(b"123")
    share.held.add(folder / "weights.onnx")
    with pytest.raises(CorruptedModelPackageError, match="The process cannot access the file"):
        store.ensure(KEY, FILES, Source())
    share.held.clear()
    assert_complete(store.ensure(KEY, FILES, Source()))


@pytest.mark.parametrize("code", ["EOPNOTSUPP", "ENOLCK", "EINVAL", "EIO", "ENOSYS"])
def test_a_file_system_without_locks_is_one_without_waiting(
    store: PackageStore, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refused(*_: object) -> None:
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(fcntl, "flock", refused)
    assert_complete(store.ensure(KEY, FILES, Source()))
    assert store.gc(quota=0).packages == 1


def test_everything_works_without_fcntl_killpg_and_proc(tmp_path: Path) -> None:
    """In a process of its own: libraries look for them once."""
    code = (
        "import sys, os, pathlib, runpy; sys.modules['fcntl'] = None; del os.killpg\n"
        "real = pathlib.Path.open\n"
        "def hidden(self, *a, **k):\n"
        "    if str(self).startswith('/proc'): raise FileNotFoundError(2, 'no /proc')\n"
        "    return real(self, *a, **k)\n"
        "pathlib.Path.open = hidden\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from cache.test_store import *\n"
        "from inference_models.machine.child import Child\n"
        "from inference_models.machine.system import boot_id\n"
        "assert boot_id() == ''\n"
        f"store = PackageStore(Path({str(tmp_path / 'root')!r}))\n"
        "assert_complete(store.ensure(KEY, FILES, Source()))\n"
        "assert store.open(KEY, FILES) and store.gc(quota=0).packages == 1\n"
        "with Child('child_functions:Counter', life=60) as child: pass\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr


CHANGE_TIMES: dict[str, Callable[[os.stat_result], int]] = {
    "Windows: the time of creation": lambda _: 1_700_000_000_000_000_000,
    "exFAT: the time of modification": lambda status: status.st_mtime_ns,
}


@pytest.fixture(params=CHANGE_TIMES)
def untrusted_change_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    real, time_of = os.lstat, CHANGE_TIMES[request.param]

    def lstat(path: Path, **options: Any) -> Any:
        status = real(path, **options)
        return Status(status, time_of(status))

    monkeypatch.setattr(os, "lstat", lstat)


class Status:
    """A status with another change time."""

    def __init__(self, status: os.stat_result, changed: int) -> None:
        self._status = status
        self.st_ctime_ns = changed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name)


@pytest.mark.usefixtures("untrusted_change_time")
def test_where_the_change_time_says_nothing_the_content_is_hashed(store: PackageStore) -> None:
    weights = store.ensure(KEY, FILES, Source()) / "weights.onnx"
    assert store.open(KEY) is not None
    status = weights.stat()
    with weights.open("r+b") as stream:
        stream.write(bytes([CONTENT[0] ^ 1]))
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert PackageStore(store.root).open(KEY) is None


def test_stamps_are_kept_where_another_system_names_its_boot(
    store: PackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps_module, "boot_id", lambda: "boot 41")
    store.ensure(KEY, FILES, Source())
    stamps_module._seen_here.clear()
    monkeypatch.setattr("inference_models.cache.manifest.file_digest", lambda *_: pytest.fail("hashed again"))
    assert PackageStore(store.root).open(KEY) is not None


def test_a_process_of_an_earlier_boot_is_gone_though_its_number_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / workspace.own_name()
    folder.mkdir()
    assert not workspace.is_abandoned(folder)
    workspace._machine_token.cache_clear()
    monkeypatch.setattr(workspace, "boot_id", lambda: "another boot")
    try:
        assert not workspace.is_of_this_machine(folder)
        os.utime(folder, (0, 0))
        assert workspace.is_abandoned(folder)
    finally:
        workspace._machine_token.cache_clear()


def test_the_writer_is_dead_where_the_system_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / workspace.own_name()
    folder.mkdir()
    monkeypatch.setattr(workspace, "is_running", lambda number: number != os.getpid())
    assert workspace.is_abandoned(folder)


def test_ids_that_differ_in_case_only_have_folders_that_differ_in_more(store: PackageStore) -> None:
    keys = [PackageKey("test", "m", name) for name in ("abc", "ABC", "aBc")]
    assert len({str(store.folder_of(key)).lower() for key in keys}) == 3
    for key in keys:
        store.ensure(key, FILES, Source())
    assert sorted(item.key.package_id for item in store.packages()) == ["ABC", "aBc", "abc"]
    assert all(store.remove(key) for key in keys)


def test_a_package_that_was_stored_under_its_own_id_stays(store: PackageStore) -> None:
    key = PackageKey("test", "m", "ABC")
    folder = store.ensure(key, FILES, Source())
    folder.rename(folder.with_name("ABC"))
    assert store.ensure(key, FILES, no_source) == folder.with_name("ABC")


def test_a_junction_is_a_link(store: PackageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.ensure(KEY, FILES, Source())
    real = os.lstat

    def lstat(path: Path, **options: Any) -> Any:
        status = Status(real(path, **options), 0)
        status.st_reparse_tag = 0xA0000003 if Path(path) == folder else 0  # type: ignore[attr-defined]
        return status

    monkeypatch.setattr(os, "lstat", lstat)
    assert is_link(folder)
    assert stat.S_ISDIR(os.lstat(folder).st_mode)
    assert store.open(KEY) is None


def test_a_path_that_windows_does_not_take_is_refused_with_its_length(
    store: PackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "longest_path", lambda: 259)
    long = InlineFileSpecs("/".join(["x" * 60] * 4), "text")
    longest = len(str(store.folder_of(KEY) / long.file_handle))
    with pytest.raises(EnvironmentConfigurationError) as caught:
        store.ensure(KEY, [long], no_source)
    assert str(caught.value) == (
        f"the package does not fit below the cache folder '{store.root}'.\n"
        f"needs paths of at most 259 characters, or long paths enabled in Windows; found: one of {longest} characters\n"
        "set INFERENCE_HOME to a folder with a shorter path"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has limits of its own")
def test_a_path_that_no_file_system_takes_is_refused_with_its_length(tmp_path: Path) -> None:
    root = tmp_path.joinpath(*["x" * 200] * 19)
    content = FileDownloadSpecs("x", "/".join(["y" * 60] * 4), sha256_hash=hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(EnvironmentConfigurationError, match=r"a folder whose path is shorter; found: a path of \d{4} "):
        PackageStore(root).ensure(KEY, [content], Source())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no fcntl")
def test_macos_is_asked_to_empty_the_cache_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    asked = []
    monkeypatch.setattr(durable.sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: asked.append(command))
    write_atomic(tmp_path / "x", b"1")
    assert asked == [51, 51]  # the file and its folder


def test_gc_leaves_what_another_process_is_loading(store: PackageStore) -> None:
    folder = store.ensure(KEY, FILES, Source())
    other = PackageStore(store.root)
    assert other.gc(quota=0).skipped == (folder,)
    store._let_go(folder)
    assert other.gc(quota=0).packages == 1
