"""A server on this machine that speaks the endpoints of the Hugging Face Hub which are called."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripted_server import ScriptedServer, answer, file_with_ranges, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import Request

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLDER = "89abcdef0123456789abcdef0123456789abcdef"
LARGE = (".onnx", ".safetensors", ".bin", "_data")


@dataclass
class Repository:
    """One repository; every revision has the same files unless `older` is given."""

    files: dict[str, bytes]
    tags: list[str] = field(default_factory=lambda: ["license:apache-2.0", "onnx"])
    gated: bool | str = False
    private: bool = False
    older: dict[str, bytes] | None = None
    dtypes: dict[str, int] | None = None

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision in {"main", COMMIT}:
            return COMMIT, self.files
        if revision in {"v1", OLDER} and self.older is not None:
            return OLDER, self.older
        return None


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sibling(path: str, content: bytes) -> dict:
    entry = {"rfilename": path, "size": len(content), "blobId": git_id(content)}
    if path.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
    return entry


class HubServer(ScriptedServer):
    def __init__(self, repositories: dict[str, Repository], token: str) -> None:
        self.repositories, self.token = repositories, token
        self.large: dict[str, bytes] = {}
        self.tampered: dict[str, bytes] = {}
        super().__init__(self._answer)

    @property
    def seen(self) -> list[tuple[str, str, str | None]]:
        """Host, path and key of every request."""
        facts = [(request.headers["host"], request.path, request.headers) for request in self.requests]
        return [(host.partition(":")[0], path, headers.get("authorization")) for host, path, headers in facts]

    def _answer(self, request: Request) -> bytes | None:
        parts = request.file.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._api(parts[2:], request)
        if parts[0] == "cdn":
            return file_with_ranges(self.large[parts[1]], ETag=f'"{parts[1]}"')(request)
        return self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]), request)

    def _api(self, parts: list[str], request: Request) -> bytes:
        query = request.path.partition("?")[2]
        if not parts:
            owner = dict(pair.split("=") for pair in query.split("&"))["author"]
            return json_answer([{"id": name} for name in self.repositories if name.startswith(f"{owner}/")])
        name = "/".join(parts[:2])
        repository = self.repositories.get(name)
        if repository is None or (repository.private and not self._has_token(request)):
            return json_answer({"error": "Invalid username or password."}, 401, X_Error_Code="RepoNotFound")
        if parts[2] == "refs":
            reference = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
            return json_answer({"branches": [reference], "tags": [reference | {"name": "v1"}], "converts": []})
        found = repository.at(parts[3])
        if found is None:
            return json_answer({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
        assert query == "blobs=true"
        commit, files = found
        return json_answer(
            {
                "id": name,
                "sha": commit,
                "gated": repository.gated,
                "private": repository.private,
                "tags": repository.tags,
                "siblings": [sibling(path, content) for path, content in files.items()],
                **({"safetensors": {"parameters": repository.dtypes, "total": 1}} if repository.dtypes else {}),
            }
        )

    def _resolve(self, name: str, commit: str, path: str, request: Request) -> bytes | None:
        repository = self.repositories[name]
        if (repository.private or repository.gated) and not self._has_token(request):
            return answer(401, f"Access to model {name} is restricted.".encode(), X_Error_Code="GatedRepo")
        content = self.tampered.get(path, repository.at(commit)[1][path])
        if not path.endswith(LARGE):
            return file_with_ranges(content, ETag=f'"{git_id(content)}"', X_Repo_Commit=commit)(request)
        digest = hashlib.sha256(content).hexdigest()
        self.large[digest] = content
        # Another name of this machine: another host to a client.
        location = self.url(f"/cdn/{digest}?X-Amz-Signature=s1gned", host="localhost")
        return answer(302, Location=location, X_Repo_Commit=commit, X_Linked_Etag=f'"{digest}"')

    def _has_token(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.token}"


@contextmanager
def served_hub(repositories: dict[str, Repository], token: str = "hf_s3cret") -> Iterator[HubServer]:
    server = HubServer(repositories, token)
    try:
        yield server
    finally:
        server.stop()
