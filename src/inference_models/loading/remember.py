"""Loading without asking the provider: what one load may take from memory, and what it leaves there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.cache.manifest import PackageKey
from inference_models.cache.store import PackageStore
from inference_models.errors import NoModelPackagesAvailableError
from inference_models.loading.resolutions import Question, RememberedProvider, Resolutions, machine_fingerprint
from inference_models.negotiate.choose import choose_packages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.fetch import Source
    from inference_models.loading.resolutions import Decision
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.request import PackageRequest
    from inference_models.providers import DescribeOptions


@dataclass(frozen=True, kw_only=True)
class LoadMemory:
    """The memory of one load."""

    request: PackageRequest
    environment: Environment
    execution_providers: tuple[Any, ...] | None = None
    enabled: bool = True
    """False: nothing is kept, and only a machine without a network looks at what is there."""
    select: str = "auto"
    """As in `LoadOptions`; "measured" takes nothing but a model of which all packages that fit are here."""
    resolutions: Resolutions = field(default_factory=Resolutions)
    store: PackageStore = field(default_factory=PackageStore)

    def known(
        self, provider: str, model_id: str, options: DescribeOptions, *, unreachable: bool = False
    ) -> ModelMetadata | None:
        """The model with the packages that can be loaded from the cache; None when the provider has to be asked.

        Args:
            provider: Name of the provider.
            model_id: As the caller wrote it.
            options: What the provider would be told.
            unreachable: The provider was asked and does not answer now, so that any package that is here will do.
        """
        alone = unreachable or config.network_forbidden_by() is not None
        if not (self.enabled or alone):
            return None
        decision = self.resolutions.recall(self._question(provider, model_id, options), any_age=alone)
        if decision is None:
            return None
        packages = self._stored(provider, decision, self._candidates(decision, alone=alone))
        if alone and not packages:  # what was loaded before is gone; another package may be here
            packages = self._stored(provider, decision, decision.model.model_packages)
        if self.select == "measured" and not alone and len(packages) < len(self._admissible(decision)):
            return None
        return replace(decision.model, model_packages=packages) if packages else None

    def keep(
        self, provider: str, model_id: str, options: DescribeOptions, model: ModelMetadata, package_id: str | None
    ) -> None:
        """Remember what the provider said, and which package was loaded."""
        if self.enabled:
            self.resolutions.remember(self._question(provider, model_id, options), model, package_id)

    def decide(self, provider: str, model_id: str, options: DescribeOptions, package_id: str) -> None:
        """Let later loads take this package without asking the provider which there are."""
        if self.enabled:
            self.resolutions.decide(self._question(provider, model_id, options), package_id)

    def candidates(self, source: Source, choice: Choice) -> Sequence[Candidate]:
        """What a measurement has to be about: all that fits, though `choice` may hold what is remembered only.

        Without a network, what is here is all there is.
        """
        if not isinstance(source.provider, RememberedProvider) or config.network_forbidden_by() is not None:
            return choice.admissible
        return self.told(source) or choice.admissible

    def told(self, source: Source) -> Sequence[Candidate]:
        """What fits of all that the provider told when it was asked last; empty: nothing is known."""
        question = self._question(source.name, source.model_id, source.stated)
        decision = self.resolutions.recall(question, any_age=True)
        if decision is None:
            return ()
        try:
            return choose_packages(decision.model, self.request, self.environment).admissible
        except NoModelPackagesAvailableError:
            return ()

    def forget(self, provider: str, model_id: str, options: DescribeOptions) -> None:
        """Drop what turned out not to load."""
        self.resolutions.forget(self._question(provider, model_id, options))

    def _question(self, provider: str, model_id: str, options: DescribeOptions) -> Question:
        return Question(
            provider=provider,
            model_id=model_id,
            request=self.request,
            machine=machine_fingerprint(self.environment),
            options=options,
            execution_providers=self.execution_providers,
            select=self.select,
        )

    def _candidates(self, decision: Decision, *, alone: bool) -> list[ModelPackageMetadata]:
        """What was loaded before; else all packages for a machine on its own, and only the best for others.

        A second-best package that happens to be here must not win over a better one that could be fetched.
        """
        packages = decision.model.model_packages
        if decision.package_id is not None:
            return [package for package in packages if package.package_id == decision.package_id]
        if alone:
            return packages
        fitting = self._admissible(decision)
        return fitting if self.select == "measured" else fitting[:1]

    def _admissible(self, decision: Decision) -> list[ModelPackageMetadata]:
        """What fits, best first."""
        try:
            return list(choose_packages(decision.model, self.request, self.environment).packages)
        except NoModelPackagesAvailableError:
            return []

    def _stored(
        self, provider: str, decision: Decision, packages: list[ModelPackageMetadata]
    ) -> list[ModelPackageMetadata]:
        """Those whose files are all in the cache."""
        keys = (
            PackageKey(provider, item.cache_model_id or decision.model.model_id, item.package_id) for item in packages
        )
        return [
            package
            for key, package in zip(keys, packages, strict=True)
            if self.store.open(key, package.package_artefacts) is not None
        ]
