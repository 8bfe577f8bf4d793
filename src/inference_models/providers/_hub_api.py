"""Asks the Hugging Face Hub about a repository through `huggingface_hub`; no file of its cache is read or written."""

from __future__ import annotations

import importlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from inference_models.config import hub_endpoint, network_forbidden_by
from inference_models.errors import (
    BaseInferenceModelsError,
    ForbiddenModelAccessError,
    InvalidParameterError,
    MissingDependencyError,
    ModelNotFoundError,
    ModelRetrievalError,
    RetryError,
    nearest_hint,
)
from inference_models.transport.limits import call_with_retries
from inference_models.transport.quiet import HIDDEN, install_log_filter, scrub, shown_url, silent_libraries
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable


DEFAULT_REVISION = "main"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ID = re.compile(rf"(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]{{0,199}}))?")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_SIGNED = re.compile(r"\?(?!\.\.\.$).*", re.DOTALL)
_MAX_SHOWN_ID = 200
_TIMEOUT_S = 30.0
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_SIBLINGS = 200
"""Repositories of an owner that are compared with a name that does not exist."""

T = TypeVar("T")


@dataclass(frozen=True)
class HubId:
    """A repository and one of its branches, tags or commits."""

    repository: str
    """`owner/name`."""
    revision: str


def parse_hub_id(text: str) -> HubId:
    """`owner/name` or `owner/name@revision`.

    Raises:
        InvalidParameterError: it is something else.
    """
    match = _ID.fullmatch(text)
    if match is None or ".." in text or "--" in match["repository"] or HIDDEN in _shown_id(text):
        raise InvalidParameterError(
            "the id cannot be one of the Hugging Face Hub.",
            needs="owner/name or owner/name@revision",
            found=_shown_id(text),
        )
    return HubId(match["repository"], match["revision"] or DEFAULT_REVISION)


def _shown_id(text: str) -> str:
    """An id as it may be shown: people paste addresses, with what signs them."""
    tokens = [value for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if (value := os.environ.get(name, "").strip())]
    shown = _TOKEN.sub(HIDDEN, scrub(text, tokens))
    return ascii(_SIGNED.sub("?...", shown)[:_MAX_SHOWN_ID])


def refuse_when_offline(wanted: HubId) -> None:
    """Return when the network may be used.

    Raises:
        ModelRetrievalError: names the variable that forbids it.
    """
    forbidden = network_forbidden_by()
    if forbidden is not None:
        raise ModelRetrievalError(
            f"'{wanted.repository}' is asked for on the Hugging Face Hub, and the network is forbidden.",
            needs="network access, or a model that is in the cache",
            found=f"{forbidden} is set",
            fix=f"unset {forbidden} and load the model once",
        )


class Hub:
    """The Hub as one account sees it."""

    def __init__(self, api_key: str | None = None) -> None:
        self._library = _library()
        self._new_api = self._library.HfApi
        # After the modules that it brings, each with a logger of its own, were imported.
        install_log_filter()
        self.endpoint = hub_endpoint()
        self.token = _checked_token(api_key or self._library.get_token())

    def file_url(self, repository: str, commit: str, path: str) -> str:
        """Where a file of a commit is."""
        return f"{self.endpoint}/{repository}/resolve/{commit}/{quote(path)}"

    def repository(self, wanted: HubId) -> Any:
        """`huggingface_hub.ModelInfo` of a repository, with sizes and hashes of its files.

        Raises:
            ModelNotFoundError: there is no such repository, or no such revision of it; names the nearest.
            ForbiddenModelAccessError: this account may not see it.
            RetryError: the Hub does not answer, or asks to wait.
            ModelRetrievalError: it refused for another reason.
        """
        return call_with_retries(lambda: self._asked(wanted))

    def explain_refusal(self, repository: str) -> ForbiddenModelAccessError:
        """Why files of a repository that exists are not handed over."""
        return ForbiddenModelAccessError(
            f"'{repository}' is gated: its owner decides who gets the files.",
            needs="the token of an account that was given access",
            found="no token" if self.token is None else "a token whose account was not",
            fix=f"ask for access at {shown_url(self.endpoint)}/{repository}, then set HF_TOKEN to its token",
        )

    def _asked(self, wanted: HubId) -> Any:
        try:
            with silent_libraries():
                return self._api().model_info(
                    wanted.repository, revision=wanted.revision, files_metadata=True, timeout=_TIMEOUT_S
                )
        except (self._library.errors.HTTPError, TypeError, KeyError, ValueError) as exc:
            error = self._error(exc, wanted)
        # Outside the handler, so that nothing is chained: a server may have put our token into what it answered.
        raise error

    def _error(self, exc: Exception, wanted: HubId) -> BaseInferenceModelsError:
        errors = self._library.errors
        if isinstance(exc, errors.HfHubHTTPError):
            return self._refusal(exc, wanted)
        if isinstance(exc, errors.HTTPError):
            return RetryError(
                f"the Hugging Face Hub at {shown_url(self.endpoint)} does not answer.",
                needs="a connection",
                found=type(exc).__name__,
                fix="check HF_ENDPOINT and the proxy settings, or run again later",
            )
        return ModelRetrievalError(
            f"{shown_url(self.endpoint)} did not answer like the Hugging Face Hub.",
            needs=f"the description of '{wanted.repository}'",
            found=type(exc).__name__,
            fix="check HF_ENDPOINT",
        )

    def _refusal(self, exc: Any, wanted: HubId) -> BaseInferenceModelsError:
        errors = self._library.errors
        if isinstance(exc, errors.GatedRepoError):
            return self.explain_refusal(wanted.repository)
        if isinstance(exc, errors.RevisionNotFoundError):
            return self._no_revision(wanted)
        if isinstance(exc, errors.RepositoryNotFoundError):
            return self._no_repository(wanted)
        return self._other(exc)

    def _no_repository(self, wanted: HubId) -> ModelNotFoundError:
        owner = wanted.repository.partition("/")[0]
        known = self._names(lambda api: [model.id for model in api.list_models(author=owner, limit=_SIBLINGS)])
        hint = f"; {nearest_hint(wanted.repository, known)}" if known else ""
        who = "without a token" if self.token is None else "with this token"
        return ModelNotFoundError(
            f"there is no repository '{wanted.repository}' that can be seen {who}{hint}.",
            fix="check the name; for a private repository set HF_TOKEN to a token that may read it",
        )

    def _no_revision(self, wanted: HubId) -> ModelNotFoundError:
        def references(api: Any) -> list[str]:
            listed = api.list_repo_refs(wanted.repository)
            return [reference.name for reference in (*listed.branches, *listed.tags)]

        known = self._names(references)
        hint = f"; {nearest_hint(wanted.revision, known)}" if known else ""
        return ModelNotFoundError(f"'{wanted.repository}' has no revision '{wanted.revision}'{hint}.")

    def _names(self, ask: Callable[[Any], list[str]]) -> list[str]:
        """What `ask` lists; nothing when the Hub does not answer, for a hint is no reason to fail otherwise."""
        with suppress(self._library.errors.HTTPError, TypeError, KeyError, ValueError), silent_libraries():
            return ask(self._api())
        return []

    def _other(self, exc: Any) -> BaseInferenceModelsError:
        from inference_models.transport.errors import HttpAnswer, error_for  # noqa: PLC0415 - loads the HTTP library

        response = exc.response
        answer = HttpAnswer(response.status_code, response.headers, response.content, (str(response.url),))
        return error_for(answer, retried=_TRANSIENT, secrets=(self.token,) if self.token else ())

    def _api(self) -> Any:
        return self._new_api(
            endpoint=self.endpoint,
            # False: nothing else is looked for.
            token=self.token or False,
            library_name="inference-models",
            library_version=__version__,
            # Its client is one for the whole process and not ours to close; this way no connection stays open in it.
            headers={"Connection": "close"},
        )


def _checked_token(token: str | None) -> str | None:
    """`token`, which is sent as a header. Other characters would fail there, as the fault of the server."""
    if token is None or (token.isascii() and token.isprintable() and " " not in token):
        return token
    raise InvalidParameterError(
        "the token for the Hugging Face Hub cannot be sent.",
        needs="printable ASCII characters without spaces",
        found="others (not shown: it is secret)",
        fix="copy the token again into HF_TOKEN or api_key",
    )


def _library() -> Any:
    try:
        importlib.import_module("huggingface_hub.errors")
        return importlib.import_module("huggingface_hub")
    except ImportError as exc:
        raise MissingDependencyError(
            "models of the Hugging Face Hub cannot be looked up.",
            needs="huggingface_hub>=1.0",
            found="not installed",
            fix='pip install "huggingface_hub>=1.0"',
        ) from exc
