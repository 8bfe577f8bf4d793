"""Files over real HTTP into a folder: verified, resumed, never trusted because they exist."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_models.authors.download import download_files_to_directory
from inference_models.errors import (
    CorruptedModelPackageError,
    FileHashSumMissmatch,
    InvalidParameterError,
    UntrustedFileError,
)
from scripted_server import Request, answer, scripted

CONTENT = {"/weights.bin": bytes(range(256)) * 2000, "/names.txt": b"cat\ndog\n"}


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def server(asked: list[str]) -> Iterator[str]:
    """Serves CONTENT; ranges are not understood, which any server may do."""

    def script(request: Request) -> bytes:
        asked.append(request.path)
        return answer(200, CONTENT[request.path]) if request.path in CONTENT else answer(404)

    with scripted(script) as running:
        yield running.url()


def md5(name: str) -> str:
    return hashlib.md5(CONTENT[f"/{name}"]).hexdigest()


def specs(server: str, *names: str) -> list[tuple[str, str, str | None]]:
    return [(name, f"{server}/{name}", md5(name)) for name in names]


def test_files_arrive_under_their_handles_and_nothing_else_does(server: str, tmp_path: Path) -> None:
    files = specs(server, "weights.bin", "names.txt")
    paths = download_files_to_directory(tmp_path / "new", files)
    assert paths == {name: str(tmp_path / "new" / name) for name in ("weights.bin", "names.txt")}
    assert {name: Path(path).read_bytes() for name, path in paths.items()} == {
        name.removeprefix("/"): data for name, data in CONTENT.items()
    }
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["names.txt", "weights.bin"]


def test_what_is_there_and_right_is_not_fetched_again(server: str, tmp_path: Path, asked: list[str]) -> None:
    for _ in range(2):
        download_files_to_directory(tmp_path, specs(server, "names.txt"))
    assert asked == ["/names.txt"]


@pytest.mark.parametrize("content", [b"", b"cat\ndoh\n"])
def test_what_is_there_and_wrong_is_replaced(server: str, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    download_files_to_directory(tmp_path, specs(server, "names.txt"))
    assert (tmp_path / "names.txt").read_bytes() == CONTENT["/names.txt"]


def test_a_link_is_replaced_and_not_followed(server: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"mine")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "names.txt").symlink_to(outside)
    download_files_to_directory(tmp_path / "in", specs(server, "names.txt"))
    assert outside.read_bytes() == b"mine"
    assert not (tmp_path / "in" / "names.txt").is_symlink()


def test_other_bytes_are_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(FileHashSumMissmatch, match=r"^names\.txt is not the file that was announced"):
        download_files_to_directory(tmp_path, [("names.txt", f"{server}/names.txt", "0" * 32)])
    assert not (tmp_path / "names.txt").exists()


def test_files_without_a_hash_need_a_yes(server: str, tmp_path: Path, asked: list[str]) -> None:
    files = [("names.txt", f"{server}/names.txt", None)]
    with pytest.raises(UntrustedFileError) as caught:
        download_files_to_directory(tmp_path, files)
    assert str(caught.value) == (
        "names.txt cannot be verified.\nneeds an MD5; found: none\n"
        "pass download_files_without_hash=True to take whatever arrives"
    )
    assert asked == []
    download_files_to_directory(tmp_path, files, download_files_without_hash=True)
    assert (tmp_path / "names.txt").read_bytes() == CONTENT["/names.txt"]


def test_files_can_be_named_by_their_content(server: str, tmp_path: Path) -> None:
    paths = download_files_to_directory(tmp_path, specs(server, "names.txt"), name_after="md5_hash")
    assert paths == {"names.txt": str(tmp_path / md5("names.txt"))}
    with pytest.raises(InvalidParameterError) as caught:
        download_files_to_directory(tmp_path, specs(server, "names.txt"), name_after="url")
    assert str(caught.value) == (
        "name_after='url' cannot name names.txt.\n"
        "needs 'file_handle', or 'md5_hash' for files that have one; found: 'url'"
    )


def test_the_caller_is_told_of_files_that_come_and_move(server: str, tmp_path: Path) -> None:
    created: list[str] = []
    renamed: list[tuple[str, str]] = []
    download_files_to_directory(
        tmp_path,
        specs(server, "names.txt"),
        on_file_created=created.append,
        on_file_renamed=lambda old, new: renamed.append((old, new)),
    )
    assert renamed == [(created[0], str(tmp_path / "names.txt"))]


def test_handles_that_lead_elsewhere_are_refused(server: str, tmp_path: Path, asked: list[str]) -> None:
    with pytest.raises(CorruptedModelPackageError, match="a file name that is not safe"):
        download_files_to_directory(tmp_path, [("../names.txt", f"{server}/names.txt", md5("names.txt"))])
    assert asked == []


class Elsewhere:
    """Another cache: gives what it was told to, right or wrong."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.stored: list[tuple[str, str]] = []

    def restore(self, content_hash: str, target_path: str) -> bool:
        if self.content is None:
            raise OSError("the bucket is gone")
        Path(target_path).write_bytes(self.content)
        return True

    def schedule_store(self, content_hash: str, source_path: str) -> bool:
        self.stored.append((content_hash, source_path))
        return True


@pytest.mark.parametrize(
    ("content", "fetched"),
    [(CONTENT["/names.txt"], []), (b"poison", ["/names.txt"]), (None, ["/names.txt"])],
    ids=["right", "wrong", "failing"],
)
def test_another_cache_is_asked_first_and_not_believed(
    server: str, tmp_path: Path, asked: list[str], content: bytes | None, fetched: list[str]
) -> None:
    elsewhere = Elsewhere(content)
    download_files_to_directory(tmp_path, specs(server, "names.txt"), content_addressed_artifact_cache=elsewhere)
    assert (tmp_path / "names.txt").read_bytes() == CONTENT["/names.txt"]
    assert asked == fetched
    assert len(elsewhere.stored) == len(fetched)
