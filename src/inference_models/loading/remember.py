"""Remembered descriptions of models, and remembered choices of packages, from earlier loads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.errors import NoModelPackagesAvailableError
from inference_models.loading.address import ModelAddress
from inference_models.negotiate.choose import negotiate
from inference_models.providers import can_be_remembered
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.cache.store import PackageStore
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.describe import Source
    from inference_models.loading.open import LoadRequest
    from inference_models.loading.resolutions import Decision, Question, Resolutions
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.choose import Choice
    from inference_models.providers import DescribeOptions


class RememberedModels:
    """Descriptions and choices of earlier loads, for one request on this machine.

    Args:
        load: The request.
        environment: The facts of this machine.
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
        from inference_models.cache.store import PackageStore  # noqa: PLC0415 - local models are not stored

        return self._store or PackageStore()

    @cached_property
    def _resolutions(self) -> Resolutions:
        from inference_models.loading.resolutions import Resolutions  # noqa: PLC0415 - local models are not remembered

        return Resolutions(self.load.options.auto_resolution_cache)

    def recall(
        self, address: ModelAddress, options: DescribeOptions, *, unreachable: bool = False
    ) -> ModelMetadata | None:
        """The model with the packages that can be loaded from the cache; None when the provider has to be asked.

        Args:
            address: The model.
            options: What the provider would be told.
            unreachable: The provider was asked and does not answer now, so that any package that is here will do.
        """
        alone = unreachable or _no_network()
        if not (alone or (self._enabled and not self._read_only)):
            return None
        decision = self._resolutions.recall(self._question(address, options), any_age=alone)
        if decision is None or self._read_only:
            return None if decision is None else decision.model
        packages = self._stored(address.provider, decision, self._wanted(decision, alone=alone))
        if alone and not packages:  # what was loaded before is gone; another package may be here
            packages = self._stored(address.provider, decision, decision.model.model_packages)
        if self._is_measured and not alone and len(packages) < len(self._admissible(decision)):
            return None
        return replace(decision.model, model_packages=packages) if packages else None

    def remember(self, source: Source, model: ModelMetadata, package_id: str | None) -> None:
        """Keep the description, and the choice where a package was loaded."""
        if self._enabled:
            self._resolutions.remember(self._question_of(source), model, package_id)

    def remember_choice(self, source: Source, package_id: str) -> None:
        """Let later loads take this package without asking the provider which there are."""
        if self._enabled:
            self._resolutions.decide(self._question_of(source), package_id)

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
        try:
            return () if decision is None else self._choose(decision).admissible
        except NoModelPackagesAvailableError:
            return ()

    @property
    def _is_measured(self) -> bool:
        return self.load.options.select == "measured"

    def _question_of(self, source: Source) -> Question:
        return self._question(ModelAddress(source.name, source.model_id), source.options)

    def _question(self, address: ModelAddress, options: DescribeOptions) -> Question:
        from inference_models.loading.resolutions import Question, machine_fingerprint  # noqa: PLC0415 - as above

        return Question(
            provider=address.provider,
            model_id=address.model_id,
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
        return self._admissible(decision) if self._is_measured else self._admissible(decision)[:1]

    def _admissible(self, decision: Decision) -> list[ModelPackageMetadata]:
        """The packages that can run here, best first."""
        try:
            return list(self._choose(decision).packages)
        except NoModelPackagesAvailableError:
            return []

    def _choose(self, decision: Decision) -> Choice:
        return negotiate(decision.model, self.load.wanted, self.environment)

    def _stored(
        self, provider: str, decision: Decision, packages: list[ModelPackageMetadata]
    ) -> list[ModelPackageMetadata]:
        """Those whose files are all in the cache."""
        from inference_models.cache.manifest import PackageKey  # noqa: PLC0415 - as above

        keys = [
            PackageKey(provider, item.cache_model_id or decision.model.model_id, item.package_id) for item in packages
        ]
        pairs = zip(keys, packages, strict=True)
        return [package for key, package in pairs if self.store.open(key, package.package_artefacts) is not None]


def _no_network() -> bool:
    return config.network_forbidden_by() is not None
