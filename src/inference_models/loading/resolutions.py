"""Remembered decisions: what a provider said about a model, and which of its packages was loaded here.

Two entries are kept for each load. The *description* depends on the provider, the id and the credential; the
*decision* also on the request and on this machine, so that it is not found any more once a runtime is installed,
updated or removed. Neither holds a key or a signed URL.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timezone
from hashlib import sha256
from hmac import new as keyed_digest
from typing import TYPE_CHECKING, Any

import msgspec

from inference_models import config
from inference_models.cache.resolution_files import FORMAT, AutoResolutionCacheEntry, FileResolutionCache, is_fresh
from inference_models.entities import LocalFileArtefactSpecs, without_signatures
from inference_models.files.prepared import prepared
from inference_models.package.metadata_json import metadata_from_json, metadata_to_json
from inference_models.providers import NO_OPTIONS, can_be_remembered, find_record
from inference_models.record import Record, replace
from inference_models.text import without_query
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.entities import ModelMetadata
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import AutoResolutionCache
    from inference_models.providers import DescribeOptions

_log = logging.getLogger("inference-models")


class Question(Record, frozen=True, kw_only=True):
    """The key of a remembered decision: everything it depends on."""

    provider: str
    model_id: str
    request: PackageRequest
    machine: str
    """`machine_fingerprint`."""
    options: DescribeOptions = NO_OPTIONS
    execution_providers: tuple[Any, ...] | None = None
    select: str = "auto"
    """As in `LoadOptions`: what the declared order chose is no answer to `measured`, and the other way round."""


class Decision(Record, frozen=True):
    """A remembered answer."""

    model: ModelMetadata
    package_id: str | None
    """None: only the description is known; which package fits has to be decided."""


def machine_fingerprint(environment: Environment) -> str:
    """Changes whenever this library, or a fact that decides what runs here or how fast, changes."""
    return _digest([__version__, environment.fingerprint(), config.requested_execution_providers()])


class Resolutions:
    """Asks and fills a cache of answers."""

    def __init__(self, cache: AutoResolutionCache | None = None, *, root: Path | None = None) -> None:
        self._files = FileResolutionCache(root)
        self._cache: AutoResolutionCache = self._files if cache is None else cache

    def recall(self, question: Question, *, any_age: bool = False) -> Decision | None:
        """The answer to the same question, else a description of the same model; None when neither is known.

        Args:
            question: What is to be loaded, where and by whom.
            any_age: Also take answers past their lifetime: without a network there are no newer ones. An answer in
                a cache that must not be written to never ages, since nothing could replace it.
        """
        if not can_be_remembered(question.provider):
            return None
        any_age = any_age or not self._files.is_writable()
        keys = self._keys(question, self._files.salt())
        for key, decides in zip(keys, (True, False, False), strict=True):
            if key is None or (decides and question.select == "measured"):
                continue
            entry = self._entry(key, question)
            if entry is None or not (any_age or is_fresh(entry)):
                continue
            model = self._model(key, entry)
            if model is not None:
                return Decision(model, entry.model_package_id if decides else None)
        return None

    def remember(self, question: Question, model: ModelMetadata, package_id: str | None) -> None:
        """Keep what the provider said, and the package that was loaded (None: nothing was loaded)."""
        remembered = can_be_remembered(question.provider)
        entry = _entry_of(question.provider, question.model_id, model) if remembered else None
        if entry is None:
            return
        decision, description, _ = self._keys(question, self._files.salt(create=_credential(question) is not None))
        if description is not None:
            self._cache.register(description, entry)
        if decision is not None and package_id is not None:
            self._cache.register(decision, msgspec.structs.replace(entry, model_package_id=package_id))

    def decide(self, question: Question, package_id: str) -> None:
        """Answer the same question with this package from now on; where no answer is known, there is none to change."""
        decision, description, shared = self._keys(question, self._files.salt())
        if decision is None or not can_be_remembered(question.provider):
            return
        found = (self._entry(key, question) for key in (description, shared) if key is not None)
        entry = next((entry for entry in found if entry is not None), None)
        if entry is not None:
            self._cache.register(decision, msgspec.structs.replace(entry, model_package_id=package_id))

    def remember_for_everyone(self, provider: str, model_id: str, model: ModelMetadata) -> None:
        """Keep a description that came with the files themselves, for any credential."""
        if can_be_remembered(provider) and (entry := _entry_of(provider, model_id, model)) is not None:
            self._cache.register(_shared_key(provider, model_id), entry)

    def forget(self, question: Question) -> None:
        """Drop the answer and the description."""
        for key in self._keys(question, self._files.salt()):
            if key is not None:
                self._cache.invalidate(key)

    def _keys(self, question: Question, salt: bytes | None) -> tuple[str | None, str | None, str]:
        """Of the decision, of the description, and of the description for everyone."""
        shared = _shared_key(question.provider, question.model_id)
        secret = _credential(question)
        if secret is not None and salt is None:
            return None, None, shared
        who = None if secret is None else keyed_digest(salt or b"", secret, "sha256").hexdigest()
        stated = question.options
        record = find_record(question.provider)
        hosts = [os.environ.get(name, "") for name in (record.host_variables if record is not None else ())]
        description = _digest([shared, who, hosts, stated.architecture, stated.task_type, repr(stated.labels)])
        wishes = repr(replace(question.request, backends=None, quantizations=None))
        kinds = [_sorted_values(question.request.backends), _sorted_values(question.request.quantizations)]
        providers = repr(question.execution_providers)
        order = ["order"] if question.select == "order" else []
        return _digest([description, wishes, kinds, providers, question.machine, *order]), description, shared

    def _entry(self, key: str, question: Question) -> AutoResolutionCacheEntry | None:
        found = self._cache.retrieve(key)
        if found is None:
            return None
        try:
            entry = msgspec.convert(found, prepared(AutoResolutionCacheEntry), strict=False, from_attributes=True)
        except msgspec.ValidationError:
            return None
        asked = question.provider, without_query(question.model_id)
        same = (entry.format, entry.provider, entry.model_id) == (FORMAT, *asked)
        return entry if same else None

    def _model(self, key: str, entry: AutoResolutionCacheEntry) -> ModelMetadata | None:
        try:
            return metadata_from_json(entry.description)
        except ValueError as exc:
            _log.warning("the remembered description of %r was ignored: %s", entry.model_id, exc)
            self._cache.invalidate(key)
            return None


def _entry_of(provider: str, model_id: str, model: ModelMetadata) -> AutoResolutionCacheEntry | None:
    """None for a description that could not be given back exactly, or whose files belong to the user."""
    artefacts = [item for package in model.model_packages for item in package.package_artefacts]
    if any(isinstance(item, LocalFileArtefactSpecs) for item in artefacts):
        return None
    kept = without_signatures(model)
    try:
        description = json.loads(json.dumps(metadata_to_json(kept), allow_nan=False))
        if metadata_from_json(description) != kept:
            return None
    except (TypeError, ValueError):
        return None
    return AutoResolutionCacheEntry(
        provider=provider,
        model_id=without_query(model_id),
        canonical_model_id=kept.model_id,
        created_at=datetime.now(timezone.utc),
        description=description,
    )


def _credential(question: Question) -> bytes | None:
    """Everything secret that decides what a provider shows; None when there is nothing."""
    stated = question.options
    record = find_record(question.provider)
    names = record.key_variables if record is not None else ()
    key = None if stated.api_key == "local" else stated.api_key
    key = key or next((value for name in names if (value := os.environ.get(name, "").strip())), None)
    if not (key or stated.extra_query_params or stated.extra_headers):
        return None
    return json.dumps([key, sorted(stated.extra_query_params), sorted(stated.extra_headers)]).encode()


def _shared_key(provider: str, model_id: str) -> str:
    return _digest([FORMAT, provider, without_query(model_id)])


def _sorted_values(kinds: Sequence[Any] | frozenset[Any] | None) -> list[str] | None:
    return None if kinds is None else sorted(kind.value for kind in kinds)


def _digest(facts: Sequence[Any]) -> str:
    return sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
