"""Remembered descriptions of models, and remembered choices of packages, from earlier loads.

Two entries are kept for each load. The *description* depends on the provider, the id and the credential; the
*choice* also on the request and on this machine, so that it is not found any more once a runtime is installed,
updated or removed. Neither holds a key or a signed URL.

Where an id means the same model to all who may see it, as on the Hub, a key decides only what may be asked. What a
public model is, is kept for everyone; what a hidden one is, for the key that was passed, or for this environment
whatever token it has. Once nobody can be asked, each of them holds: whoever reads the cache has the files.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from datetime import datetime, timezone
from hashlib import sha256
from hmac import new as keyed_digest
from typing import TYPE_CHECKING, Any

import msgspec

from inference_models import config
from inference_models.cache.manifest import PackageKey
from inference_models.cache.resolution_files import FORMAT, AutoResolutionCacheEntry, FileResolutionCache, is_fresh
from inference_models.cache.store import PackageStore
from inference_models.entities import LocalFileArtefactSpecs, without_signatures
from inference_models.errors import NoModelPackagesAvailableError
from inference_models.files.prepared import prepared
from inference_models.fork import cached_property
from inference_models.machine.environment import machine_fingerprint
from inference_models.negotiate.choose import negotiate
from inference_models.package.metadata_json import metadata_from_json, metadata_to_json
from inference_models.providers import NO_OPTIONS, can_be_remembered, find_record
from inference_models.record import Record, replace
from inference_models.text import fits_a_header, without_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.address import LoadRequest, ModelAddress, Source
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import AutoResolutionCache
    from inference_models.providers import DescribeOptions

_log = logging.getLogger("inference-models")
_ENVIRONMENT, _ANYONE = "environment", "anyone"
"""Who reads what a provider hides: a process that passes no key; where nobody can be asked, everyone."""


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
    """None: only the description is known."""


class Resolutions:
    """Asks and fills a cache of answers."""

    def __init__(self, cache: AutoResolutionCache | None = None, *, root: Path | None = None) -> None:
        self._files = FileResolutionCache(root)
        self._cache: AutoResolutionCache = self._files if cache is None else cache

    def recall(self, question: Question, *, any_age: bool = False) -> Decision | None:
        """The answer to the same question, else a description of the same model; None when neither is known.

        `any_age` takes those past their lifetime too: without a network there are no newer ones. In a cache that must
        not be written to they never age, since nothing could replace them.
        """
        if not can_be_remembered(question.provider):
            return None
        any_age = any_age or not self._files.is_writable()
        for key, decides in self._keys(question, alone=any_age):
            if decides and question.select == "measured":
                continue
            entry = self._entry(key, question)
            if entry is None or not (any_age or is_fresh(entry)):
                continue
            model = self._model(key, entry)
            if model is not None:
                decision = Decision(model, entry.model_package_id if decides else None)
                return _with_converted(decision, question.provider, entry)
        return None

    def remember(self, question: Question, model: ModelMetadata, package_id: str | None) -> None:
        """Keep what the provider said, and the package that was loaded (None: nothing was loaded)."""
        remembered = can_be_remembered(question.provider)
        entry = _entry_of(question.provider, question.model_id, model) if remembered else None
        if entry is None:
            return
        own, shared = self._own_readers(question, create=True), _is_shared(question.provider)
        readers = [None] if shared and model.public else [*own, _ANYONE] if shared and own else own
        for reader in readers:
            self._cache.register(_description_key(question, reader), entry)
        if readers and package_id is not None:
            chosen = msgspec.structs.replace(entry, model_package_id=package_id)
            self._cache.register(_decision_key(question, readers[0]), chosen)

    def remember_choice(self, question: Question, package_id: str) -> None:
        """Answer the same question with this package from now on; where no answer is known, there is none to change."""
        readers = self._readers(question) if can_be_remembered(question.provider) else []
        keys = [_description_key(question, reader) for reader in readers]
        found = (self._entry(key, question) for key in (*keys, _shared_key(question.provider, question.model_id)))
        entry = next((entry for entry in found if entry is not None), None)
        if readers and entry is not None:
            chosen = msgspec.structs.replace(entry, model_package_id=package_id)
            self._cache.register(_decision_key(question, readers[0]), chosen)

    def remember_for_everyone(self, provider: str, model_id: str, model: ModelMetadata) -> None:
        """Keep a description that came with the files themselves, for any credential."""
        if can_be_remembered(provider) and (entry := _entry_of(provider, model_id, model)) is not None:
            self._cache.register(_shared_key(provider, model_id), entry)

    def forget(self, question: Question) -> None:
        """Drop the answer and the description."""
        for key, _ in self._keys(question, alone=True):
            self._cache.invalidate(key)

    def _keys(self, question: Question, *, alone: bool) -> Iterator[tuple[str, bool]]:
        """Where an answer may be, and whether it is a decision; `alone` asks for those to every key too."""
        for reader in self._readers(question):
            yield _decision_key(question, reader), True
            yield _description_key(question, reader), False
        yield _shared_key(question.provider, question.model_id), False
        if alone and _is_shared(question.provider):
            yield _description_key(question, _ANYONE), False

    def _readers(self, question: Question) -> list[str | None]:
        """For whom answers are kept that hold for a question, the nearest first; None: for everyone."""
        return [*self._own_readers(question), *([None] if _is_shared(question.provider) else [])]

    def _own_readers(self, question: Question, *, create: bool = False) -> list[str | None]:
        """For whom the answer to a question is kept; empty: it cannot be kept."""
        secret = _credential(question)
        if secret is None:
            return [_ENVIRONMENT if _is_shared(question.provider) else None]
        salt = self._files.salt(create=create)
        return [] if salt is None else [keyed_digest(salt, secret, "sha256").hexdigest()]

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


class RememberedModels:
    """Descriptions and choices of earlier loads, for one request on this machine.

    Args:
        load: The request.
        environment: The machine.
        read_only: Nothing is kept or dropped, and a provider that can be asked is asked.
        enabled: Whether descriptions are taken and kept; None: as the options of `load` say. Without a network they
            are taken all the same.
        store: The files; None: those of the cache folder.
    """

    def __init__(
        self,
        load: LoadRequest,
        environment: Environment,
        *,
        read_only: bool = False,
        enabled: bool | None = None,
        store: PackageStore | None = None,
    ) -> None:
        self.load = load
        self.environment = environment
        self._store = store
        self._read_only = read_only
        self._enabled = load.options.use_auto_resolution_cache if enabled is None else enabled

    @cached_property
    def store(self) -> PackageStore:
        """The files."""
        return self._store or PackageStore()

    @cached_property
    def _resolutions(self) -> Resolutions:
        return Resolutions(self.load.options.auto_resolution_cache)

    def recall(
        self, address: ModelAddress, options: DescribeOptions, *, unreachable: bool = False
    ) -> ModelMetadata | None:
        """The model with the packages that can be loaded from the cache; None when the provider has to be asked.

        When that was asked and is `unreachable`, any package that is here will do.
        """
        if not can_be_remembered(address.provider):
            return None
        alone = unreachable or _no_network()
        if not (alone or (self._enabled and not self._read_only)):
            return None
        decision = self._resolutions.recall(self._question(*address, options), any_age=alone)
        if decision is None and alone:
            self.store.refuse_unreadable()
        if decision is None or self._read_only:
            return None if decision is None else decision.model
        packages = self._stored(address.provider, decision, self._wanted(decision, alone=alone))
        if alone and not packages:  # what was loaded before is gone; another package may be here
            packages = self._stored(address.provider, decision, decision.model.model_packages)
        if self.load.options.select == "measured" and not alone and len(packages) < len(self._admissible(decision)):
            return None
        return replace(decision.model, model_packages=packages) if packages else None

    def remember(self, source: Source, model: ModelMetadata, package_id: str | None) -> None:
        """Keep the description, and the choice where a package was loaded."""
        if self._enabled:
            self._resolutions.remember(self._question_of(source), model, package_id)

    def remember_choice(self, source: Source, package_id: str) -> None:
        """Let later loads take this package without asking the provider which there are."""
        if self._enabled:
            self._resolutions.remember_choice(self._question_of(source), package_id)

    def forget(self, source: Source) -> None:
        """Drop the description and the choice, which turned out not to load."""
        self._resolutions.forget(self._question_of(source))

    def chosen_package(self, source: Source) -> str | None:
        """Id of the package that a load would take without asking the provider."""
        alone = _no_network()
        if not can_be_remembered(source.name) or not (self._enabled or alone):
            return None
        decision = self._resolutions.recall(self._question_of(source), any_age=alone)
        return None if decision is None else decision.package_id

    def candidates_to_measure(self, source: Source, choice: Choice) -> Sequence[Candidate]:
        """What a measurement has to be about: all that fits, though `choice` may hold what is remembered only.

        Without a network, what is here is all there is.
        """
        if not source.is_remembered or _no_network():
            return choice.admissible
        return self.last_candidates(source) or choice.admissible

    def last_candidates(self, source: Source) -> Sequence[Candidate]:
        """What fits of all that the provider said when it was asked last; empty: nothing is known."""
        decision = self._resolutions.recall(self._question_of(source), any_age=True)
        choice = None if decision is None else self._negotiated(decision)
        return () if choice is None else choice.admissible

    def _question_of(self, source: Source) -> Question:
        return self._question(source.name, source.model_id, source.options)

    def _question(self, provider: str, model_id: str, options: DescribeOptions) -> Question:
        return Question(
            provider=provider,
            model_id=model_id,
            request=self.load.wanted,
            machine=machine_fingerprint(self.environment),
            options=options,
            execution_providers=self.load.execution_providers,
            select=self.load.options.select,
        )

    def _wanted(self, decision: Decision, *, alone: bool) -> list[ModelPackageMetadata]:
        """What was loaded before; else all packages for a machine on its own, and only the best for others.

        A second-best package that happens to be here must not win over a better one that could be fetched.
        """
        packages = decision.model.model_packages
        if decision.package_id is not None:
            return [package for package in packages if package.package_id == decision.package_id]
        if alone:
            return packages
        return self._admissible(decision) if self.load.options.select == "measured" else self._admissible(decision)[:1]

    def _admissible(self, decision: Decision) -> list[ModelPackageMetadata]:
        """The packages that can run here, best first."""
        choice = self._negotiated(decision)
        return [] if choice is None else list(choice.packages)

    def _negotiated(self, decision: Decision) -> Choice | None:
        """None where no package has the id in the request."""
        with suppress(NoModelPackagesAvailableError):
            return negotiate(decision.model, self.load.wanted, self.environment)
        return None

    def _stored(
        self, provider: str, decision: Decision, packages: list[ModelPackageMetadata]
    ) -> list[ModelPackageMetadata]:
        """Those whose files are all in the cache."""
        keys = [
            PackageKey(provider, item.cache_model_id or decision.model.model_id, item.package_id) for item in packages
        ]
        pairs = zip(keys, packages, strict=True)
        return [
            package
            for key, package in pairs
            if _is_local(package) or self.store.open(key, package.package_artefacts) is not None
        ]


def _with_converted(decision: Decision, provider: str, entry: AutoResolutionCacheEntry) -> Decision:
    """With what was made here of the model; a choice from before the last of that was made is none any more."""
    if not (config.cache_directory() / config.CONVERTED).is_dir():
        return decision
    from inference_models.loading.converted import newest_conversion, with_converted  # noqa: PLC0415 - as it says

    is_newer = newest_conversion(decision.model, provider) > entry.created_at.timestamp()
    return Decision(with_converted(decision.model, provider), None if is_newer else decision.package_id)


def _is_local(package: ModelPackageMetadata) -> bool:
    return any(isinstance(item, LocalFileArtefactSpecs) for item in package.package_artefacts)


def _entry_of(provider: str, model_id: str, model: ModelMetadata) -> AutoResolutionCacheEntry | None:
    """None for a description that could not be given back exactly, or whose files belong to the user."""
    if any(map(_is_local, model.model_packages)):
        from inference_models.loading.converted import is_converted  # noqa: PLC0415 - rarely there

        model = replace(model, model_packages=[item for item in model.model_packages if not is_converted(item)])
    if any(map(_is_local, model.model_packages)):
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
    """Everything secret that decides what a provider says; None when there is nothing."""
    options, record = question.options, find_record(question.provider)
    names = () if record is None or record.same_for_all else record.key_variables
    key = None if options.api_key == "local" else options.api_key
    stated = (os.environ.get(name, "").strip() for name in names)
    key = key or next((value for value in stated if value and fits_a_header(value)), None)
    if not (key or options.extra_query_params or options.extra_headers):
        return None
    return json.dumps([key, sorted(options.extra_query_params), sorted(options.extra_headers)]).encode()


def _is_shared(provider: str) -> bool:
    record = find_record(provider)
    return record is not None and record.same_for_all


def _description_key(question: Question, reader: str | None) -> str:
    options, record = question.options, find_record(question.provider)
    hosts = [os.environ.get(name, "") for name in (record.host_variables if record is not None else ())]
    stated = [options.architecture, options.task_type, repr(options.labels)]
    return _digest([_shared_key(question.provider, question.model_id), reader, hosts, *stated])


def _decision_key(question: Question, reader: str | None) -> str:
    wanted = repr(replace(question.request, backends=None, quantizations=None))
    kinds = [_sorted_values(question.request.backends), _sorted_values(question.request.quantizations)]
    providers = repr(question.execution_providers)
    order = ["order"] if question.select == "order" else []
    return _digest([_description_key(question, reader), wanted, kinds, providers, question.machine, *order])


def _shared_key(provider: str, model_id: str) -> str:
    return _digest([FORMAT, provider, without_query(model_id)])


def _sorted_values(kinds: Sequence[Any] | frozenset[Any] | None) -> list[str] | None:
    return None if kinds is None else sorted(kind.value for kind in kinds)


def _digest(facts: Sequence[Any]) -> str:
    return sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _no_network() -> bool:
    return config.network_forbidden_by() is not None
