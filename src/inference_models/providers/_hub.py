"""Asks the Hugging Face Hub about a repository: which commit it is at, and what its files are."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from inference_models.config import hub_endpoint
from inference_models.errors import (
    BaseInferenceModelsError,
    EnvironmentConfigurationError,
    ForbiddenModelAccessError,
    InvalidParameterError,
    ModelNotFoundError,
    ModelRetrievalError,
    nearest_hint,
)
from inference_models.files.prepared import prepared
from inference_models.fork import cached_property
from inference_models.text import fits_a_header, shown_url
from inference_models.transport.answers import HttpAnswer, error_for
from inference_models.transport.limits import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.transport.client import HttpClient

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_FOUND_OR_HIDDEN = frozenset({401, 403, 404})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_MAX_NAMES = 200
"""Repositories of an owner that are compared with a name that does not exist."""
T = TypeVar("T")


class _LargeFile(msgspec.Struct, frozen=True):
    sha256: str
    size: int


class HubFile(msgspec.Struct, frozen=True):
    """One file of a repository at a commit."""

    path: str = msgspec.field(name="rfilename")
    stated_size: int | None = msgspec.field(default=None, name="size")
    blob_id: str | None = msgspec.field(default=None, name="blobId")
    """Git object id (SHA-1) of a small file."""
    lfs: _LargeFile | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.lfs.size if self.lfs is not None else self.stated_size or 0

    @property
    def sha256(self) -> str | None:
        """Of files the Hub keeps in its large file storage; None for small ones."""
        return self.lfs.sha256 if self.lfs is not None else None

    def holds(self, content: bytes) -> bool:
        """Whether `content` is what git says this file is."""
        git_object = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
        git_object.update(content)
        return git_object.hexdigest() == self.blob_id


class _Safetensors(msgspec.Struct, frozen=True):
    parameters: dict[str, int] = {}


class Repository(msgspec.Struct, frozen=True, dict=True):
    """One commit of a repository, as the Hub describes it, which writes null for what it does not know."""

    name: str = ""
    """`owner/name`."""
    sha: Any = None
    gated: bool | str | None = None
    private: bool | None = None
    tags: list[str] | None = None
    siblings: list[HubFile] | None = None
    safetensors: _Safetensors | None = None

    @property
    def commit(self) -> str:
        """40 hexadecimal digits."""
        return str(self.sha)

    @cached_property
    def files(self) -> Mapping[str, HubFile]:
        """By path."""
        return {file.path: file for file in self.siblings or () if file.lfs is not None or file.stated_size is not None}

    @property
    def license(self) -> str | None:
        """As the model card states it."""
        return next((tag.partition(":")[2] for tag in self.tags or () if tag.startswith("license:")), None)

    @property
    def dtypes(self) -> Mapping[str, int]:
        """Number of parameters per safetensors dtype."""
        return self.safetensors.parameters if self.safetensors is not None else {}


class _Model(msgspec.Struct):
    id: str


class _Reference(msgspec.Struct):
    name: str


class _References(msgspec.Struct):
    branches: list[_Reference]
    tags: list[_Reference]


class Hub:
    """Client of the Hub API for one account."""

    def __init__(self, client: HttpClient, api_key: str | None = None) -> None:
        self._client = client
        self.endpoint = hub_endpoint()
        own, self._no_token = (None, None) if api_key else _own_token()
        self.token = _checked_token(api_key, own)
        self.headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def file_url(self, repository: Repository, path: str) -> str:
        """Where a file of a commit is."""
        return f"{self.endpoint}/{repository.name}/resolve/{repository.commit}/{quote(path)}"

    def repository(self, name: str, revision: str) -> Repository:
        """What the Hub knows of a repository at a branch, tag or commit, with sizes and hashes of its files.

        Raises:
            ModelNotFoundError: there is no such repository, or no such revision of it; names the nearest.
            ForbiddenModelAccessError: this account may not see it.
            RetryError: the Hub does not answer, or asks to wait.
            ModelRetrievalError: it refused for another reason.
        """
        path = f"/api/models/{name}/revision/{quote(revision, safe='')}?blobs=true"
        answer = call_with_retries(lambda: self._get(path))
        if answer.status != 200:
            raise self._refusal(answer, name, revision)
        found = self._parsed(answer, Repository, f"the description of '{name}'")
        if not _COMMIT.fullmatch(found.commit):
            raise ModelRetrievalError(
                f"the Hub does not say which commit '{name}' is at.",
                needs="40 hexadecimal digits",
                found=ascii(found.sha)[:80],
            )
        return msgspec.structs.replace(found, name=name)

    def explain_refusal(self, repository: str) -> ForbiddenModelAccessError:
        """The error for a repository that exists and whose files are refused."""
        return ForbiddenModelAccessError(
            f"'{repository}' is gated: its owner decides who gets the files.",
            needs="the token of an account that was given access",
            found=self._no_token or "no token" if self.token is None else "a token whose account was not",
            fix=f"ask for access at {shown_url(self.endpoint)}/{repository}, then set HF_TOKEN to its token",
        )

    def _get(self, path: str) -> HttpAnswer:
        return self._client.get(self.endpoint + path, self.headers, retried=_TRANSIENT, given=_NOT_FOUND_OR_HIDDEN)

    def _parsed(self, answer: HttpAnswer, kind: type[T], needs: str) -> T:
        try:
            return msgspec.json.decode(answer.body, type=prepared(kind))
        except (msgspec.DecodeError, RecursionError) as exc:
            found = str(exc)
        raise ModelRetrievalError(
            f"{shown_url(self.endpoint)} did not answer like the Hugging Face Hub.",
            needs=needs,
            found=found,
            fix="check HF_ENDPOINT",
        )

    def _refusal(self, answer: HttpAnswer, name: str, revision: str) -> BaseInferenceModelsError:
        code = answer.headers.get("x-error-code", "")
        # Without rights, a repository that is hidden looks like one that does not exist.
        unseen = answer.status == 401 and "invalid credentials" not in answer.headers.get("x-error-message", "").lower()
        if code == "GatedRepo":
            return self.explain_refusal(name)
        if code == "RevisionNotFound":
            hint = self._hint(revision, f"/api/models/{name}/refs", _References)
            return ModelNotFoundError(f"'{name}' has no revision '{revision}'{hint}.")
        if code == "RepoNotFound" or unseen:
            owner = name.partition("/")[0]
            hint = self._hint(name, f"/api/models?author={owner}&limit={_MAX_NAMES}", list[_Model])
            who = "without a token" if self.token is None else "with this token"
            return ModelNotFoundError(
                f"there is no repository '{name}' that can be seen {who}{hint}.",
                fix="check the name; for a private repository set HF_TOKEN to a token that may read it",
            )
        return error_for(answer, retried=_TRANSIENT, secrets=tuple(self.headers.values()))

    def _hint(self, wanted: str, path: str, kind: type[_References | list[_Model]]) -> str:
        """The nearest of the listed names; nothing when the Hub does not answer, which is no reason to fail."""
        with suppress(BaseInferenceModelsError):
            listed = self._parsed(self._get(path), kind, "a list")
            if isinstance(listed, _References):
                names = [reference.name for reference in (*listed.branches, *listed.tags)]
            else:
                names = [model.id for model in listed]
            return f"; {nearest_hint(wanted, names)}" if names else ""
        return ""


def _own_token() -> tuple[str | None, str | None]:
    """The token of the environment, else the one that `hf auth login` saved, else None; and why that was not read."""
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").strip().upper() in {"1", "ON", "TRUE", "YES"}:
        return None, "HF_HUB_DISABLE_IMPLICIT_TOKEN, which forbids a token that is not passed as api_key"
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := os.environ.get(name, "").strip():
            return token, None
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{caches}/huggingface"
    try:
        path = Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser()
        return path.read_text("utf-8").strip() or None, None
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        return None, None
    except (OSError, ValueError) as exc:
        return None, f"a token in '{path}' that cannot be read: {getattr(exc, 'strerror', None) or type(exc).__name__}"


def _checked_token(stated: str | None, own: str | None) -> str | None:
    """The token, which is sent as a header. Other characters would fail there, as the fault of the server."""
    token = stated or own
    if token is None or fits_a_header(token):
        return token
    kind = InvalidParameterError if stated else EnvironmentConfigurationError
    raise kind(
        "the token for the Hugging Face Hub cannot be sent.",
        needs="printable ASCII characters without spaces",
        found="others (not shown: it is secret)",
        fix="copy the token again into HF_TOKEN or api_key",
    )
