"""Loads that somebody else watches: an access manager that is asked and told, and a caller who wants the folder."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from inference_models.errors import ForbiddenModelAccessError, UnauthorizedModelAccessError
from inference_models.loading.attempt import load_model
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata
    from inference_models.loading.address import LoadRequest, ModelAddress
    from inference_models.loading.attempt import LoadSteps
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.package.folder import PackageFolder
    from inference_models.tasks.any_model import AnyModel


class AccessIdentifiers(Record, frozen=True):
    """Who loads what; the argument of some methods of an access manager."""

    model_id: str
    package_id: str
    api_key: str | None


def load_watched(
    address: ModelAddress, load: LoadRequest, environment: Environment, steps: LoadSteps, *, api_key: str | None
) -> AnyModel:
    """`load_model` of a model of a provider, with `model_access_manager` and `point_model_directory`.

    Raises:
        UnauthorizedModelAccessError: the manager forbids it, or the provider does.
    """
    options, wanted, asked = load.options, load.wanted, address.model_id
    manager, point = options.model_access_manager, options.point_model_directory
    if manager is not None:
        if manager.is_model_access_forbidden(model_id=asked, api_key=api_key):
            raise UnauthorizedModelAccessError(
                f"the access manager of this program does not allow {asked!r}.",
                needs="a model it allows, or another api_key",
                found=f"no api_key and model {asked!r}" if api_key is None else f"model {asked!r} with this api_key",
            )
        facts = (address, wanted, load.execution_providers, options.arrays, options.threads)
        held = manager.retrieve_model_instance(
            model_id=asked,
            package_id=wanted.package_id,
            api_key=api_key,
            loading_parameter_digest=sha256(repr(facts).encode()).hexdigest(),
        )
        if held is not None:
            return held  # type: ignore[no-any-return]

    def report(loaded: AnyModel, model: ModelMetadata, candidate: Candidate, folder: PackageFolder) -> None:
        place = str(folder.directory)
        if manager is not None:
            who = AccessIdentifiers(model.model_id, candidate.package.package_id, api_key)
            if model.model_id != asked:
                manager.on_model_alias_discovered(alias=asked, model_id=model.model_id)
            manager.on_model_package_access_granted(who)
            manager.on_model_loaded(model=loaded, access_identifiers=who, model_storage_path=place)
        if point is not None:
            point(place)

    try:
        return load_model(address, load, environment, replace(steps, report=report), api_key=api_key)
    except (UnauthorizedModelAccessError, ForbiddenModelAccessError):
        if manager is not None:
            manager.on_model_access_forbidden(model_id=asked, api_key=api_key)
        raise
