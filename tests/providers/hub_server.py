"""A server on this machine that speaks the endpoints of the Hugging Face Hub which `huggingface_hub` calls."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

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


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        return

    def do_GET(self):
        url = urlsplit(self.path)
        self.server.seen.append((self.headers["Host"].partition(":")[0], self.path, self.headers.get("Authorization")))
        if self.server.failures:
            status, body, headers = self.server.failures.pop(0)
            return self._send(status, body, headers)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            return self._api(parts[2:], url.query)
        if parts[0] == "cdn":
            return self._file(self.server.large[parts[1]], {"ETag": f'"{parts[1]}"'})
        return self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _api(self, parts, query):
        repositories = self.server.repositories
        if not parts:
            owner = dict(pair.split("=") for pair in query.split("&"))["author"]
            return self._json([{"id": name} for name in repositories if name.startswith(f"{owner}/")])
        name = "/".join(parts[:2])
        if name not in repositories or not self._may_see(repositories[name]):
            return self._send(401, b'{"error":"Invalid username or password."}', {"X-Error-Code": "RepoNotFound"})
        repository = repositories[name]
        if parts[2] == "refs":
            reference = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
            return self._json({"branches": [reference], "tags": [reference | {"name": "v1"}], "converts": []})
        found = repository.at(parts[3])
        if found is None:
            return self._send(404, b'{"error":"Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        assert query.lower() == "blobs=true"
        commit, files = found
        return self._json(
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

    def _resolve(self, name, commit, path):
        repository = self.server.repositories[name]
        if not self._may_see(repository) or (repository.gated and not self._has_token()):
            text = f"Access to model {name} is restricted.".encode()
            return self._send(401, text, {"X-Error-Code": "GatedRepo"})
        found = repository.at(commit)
        content = self.server.tampered.get(path, found[1][path])
        headers = {"X-Repo-Commit": commit}
        if not path.endswith(LARGE):
            return self._file(content, headers | {"ETag": f'"{git_id(content)}"'})
        digest = hashlib.sha256(content).hexdigest()
        self.server.large[digest] = content
        # Another name of this machine: another host to a client.
        location = f"http://localhost:{self.server.server_port}/cdn/{digest}?X-Amz-Signature=s1gned"
        return self._send(302, b"", headers | {"Location": location, "X-Linked-Etag": f'"{digest}"'})

    def _may_see(self, repository):
        return not repository.private or self._has_token()

    def _has_token(self):
        return self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _file(self, content, headers):
        headers = headers | {"Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked is None:
            return self._send(200, content, headers)
        first, last = asked.removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1 if last else None]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        return self._send(206, part, headers | {"Content-Range": span})

    def _json(self, value):
        return self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served_hub(repositories: dict[str, Repository], token: str = "hf_s3cret"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.repositories, server.token = repositories, token
    server.seen, server.failures, server.large, server.tampered = [], [], {}, {}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
