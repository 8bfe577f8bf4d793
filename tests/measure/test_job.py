from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.entities import FileDownloadSpecs, ModelDependency
from inference_models.measure.job import Job, NotSerializableError, load_job
from inference_models.negotiate.case import Plan
from inference_models.options import LoadOptions
from inference_models.package.folder import read_package_folder
from measure.packages import asking, classifier, code

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = np.full((20, 30, 3), (0, 0, 200), np.uint8)


def job_of(folder: Path, package: object, **load: object) -> Job:
    asked = asking(package, consent_to=folder)
    plan = Plan(asked.choice.admissible[0], 1)
    return Job(asked.model, plan, read_package_folder(folder), replace(asked.load, **load))


def test_another_process_opens_the_same_model(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    job = job_of(tmp_path / "a", classifier(tmp_path / "a"), options=LoadOptions(labels=["x", "y"]))
    with load_job(json.loads(job.to_json())) as model:
        assert model.class_names == ["x", "y"]
        assert model.resolved_model.threads == 1
        assert model(IMAGE).class_id[0] == 0


def test_a_stored_package_is_opened_from_its_folder_and_its_signed_addresses_are_not_handed_on(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    package = classifier(tmp_path / "a")
    url = "https://files.example/weights.onnx?X-Signature=canary"
    stored = replace(package, package_artefacts=[FileDownloadSpecs(url, "weights.onnx", sha256_hash="00" * 32)])
    job = job_of(tmp_path / "a", stored)
    job = replace(job, model=replace(job.model, model_id=url))
    text = job.to_json()
    assert "canary" not in text
    with load_job(json.loads(text)) as model:
        assert model(IMAGE).class_id[0] == 0


def test_execution_providers_keep_their_options(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    named = (("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"}),)
    job = job_of(tmp_path / "a", classifier(tmp_path / "a"), execution_providers=named)
    with load_job(json.loads(job.to_json())) as model:
        assert model.resolved_model.execution_providers == ("CPUExecutionProvider",)


def test_objects_stay_in_this_process(tmp_path: Path) -> None:
    job = job_of(tmp_path / "a", code(tmp_path / "a"), extra={"cache": object()})
    with pytest.raises(NotSerializableError, match=r"^an option cannot be handed to another process \(Object of type"):
        job.to_json()


def test_models_it_depends_on_stay_in_this_process(tmp_path: Path) -> None:
    job = job_of(tmp_path / "a", code(tmp_path / "a"))
    needing = replace(job, model=replace(job.model, model_dependencies=[ModelDependency(name="d", model_id="d")]))
    with pytest.raises(NotSerializableError, match=r"^it needs other models, which only this process has loaded$"):
        needing.to_json()
