"""Options of the public library: an access manager, the folder that was loaded, and what changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hosted
from inference_models import AutoModel, find_cached_model_package_dir
from inference_models.errors import ForbiddenModelAccessError, ModelPackageRestrictedError, UnauthorizedModelAccessError
from inference_models.loading.open import _check_resolution


class Manager:
    """The methods that are called, as the public library 0.39.6 declares them."""

    def __init__(self, *, forbidden: bool = False, held: object = None) -> None:
        self.forbidden, self.held, self.calls = forbidden, held, []

    def is_model_access_forbidden(self, model_id: str, api_key: str | None) -> bool:
        self.calls.append(("asked", model_id, api_key))
        return self.forbidden

    def retrieve_model_instance(
        self, model_id: str, package_id: str | None, api_key: str | None, loading_parameter_digest: str | None
    ) -> object:
        self.digest = loading_parameter_digest
        return self.held

    def on_model_alias_discovered(self, alias: str, model_id: str) -> None:
        self.calls.append(("alias", alias, model_id))

    def on_model_access_forbidden(self, model_id: str, api_key: str | None) -> None:
        self.calls.append(("refused", model_id))

    def on_model_package_access_granted(self, access_identifiers: Any) -> None:
        self.calls.append(("granted", access_identifiers.model_id, access_identifiers.package_id))

    def on_model_loaded(self, model: Any, access_identifiers: Any, model_storage_path: str) -> None:
        self.calls.append(("loaded", model.resolved_model.model_id, access_identifiers.api_key, model_storage_path))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "made"), asked_for="cats")
    hosted.install(monkeypatch, {"host": made})
    return made


def test_a_manager_is_asked_first_and_told_what_was_loaded(host: hosted.Hosted) -> None:
    manager, folders = Manager(), []
    for _ in range(2):  # the second is a remembered one
        manager.calls.clear()
        load = AutoModel.from_pretrained
        load("host:cats", api_key="k", model_access_manager=manager, point_model_directory=folders.append).close()
        assert manager.calls == [
            ("asked", "cats", "k"),
            ("alias", "cats", "team/cats/1"),
            ("granted", "team/cats/1", "p1"),
            ("loaded", "team/cats/1", "k", folders[-1]),
        ]
    assert folders == [find_cached_model_package_dir("cats")] * 2


def test_a_manager_may_refuse_a_model_or_have_it_already(host: hosted.Hosted) -> None:
    with pytest.raises(UnauthorizedModelAccessError) as caught:
        AutoModel.from_pretrained("host:cats", model_access_manager=Manager(forbidden=True))
    assert str(caught.value).splitlines()[0] == "the access manager of this program does not allow 'cats'."
    held = object()
    assert AutoModel.from_pretrained("host:cats", model_access_manager=Manager(held=held)) is held
    assert host.described == []


def test_the_digest_tells_loads_with_other_parameters_apart(host: hosted.Hosted) -> None:
    digests = []
    for options in ({}, {}, {"device": "cpu"}, {"arrays": "numpy"}):
        manager = Manager(held=object())
        AutoModel.from_pretrained("host:cats", model_access_manager=manager, **options)
        digests.append(manager.digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_manager_hears_that_the_provider_refuses(host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ForbiddenModelAccessError("not for you.")

    monkeypatch.setattr(host, "describe", refuse)
    manager = Manager()
    with pytest.raises(ForbiddenModelAccessError):
        AutoModel.from_pretrained("host:cats", model_access_manager=manager)
    assert manager.calls[-1] == ("refused", "cats")


def test_a_path_is_no_business_of_theirs(tmp_path: Path) -> None:
    for name, data in hosted.detector_files(tmp_path / "made").items():
        (tmp_path / name).write_bytes(data)
    manager, folders = Manager(forbidden=True), []
    options = {"allow_vllm_proxy": True, "content_addressed_artifact_cache": object(), "trt_cuda_graph_cache": object()}
    AutoModel.from_pretrained(
        tmp_path, model_access_manager=manager, point_model_directory=folders.append, **options
    ).close()
    assert manager.calls == folders == []


@pytest.mark.parametrize(
    ("size", "limit", "found"),
    [((640, 640), 512, "640 x 640"), ((512, 640), (640, 512), "512 x 640"), (None, 512, "no stated size")],
)
def test_a_larger_rf_detr_than_allowed_is_refused(host: hosted.Hosted, size: Any, limit: Any, found: str) -> None:
    facts = host.models["cats"].__class__(model_id="x", model_packages=[], model_architecture="rfdetr")
    with pytest.raises(ModelPackageRestrictedError) as caught:
        _check_resolution(facts, size, limit)
    assert caught.value.found == found
    _check_resolution(facts, (320, 320), limit)
    _check_resolution(host.models["cats"], size, limit)
