from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from inference_models.cache.facts import CHECKSUM
from inference_models.entities import BackendType, FileDownloadSpecs, InlineFileSpecs
from inference_models.loading.remember import RememberedModels
from inference_models.machine.hardware import usable_cpus
from inference_models.measure.select import remembered_plan, select_plans
from inference_models.measure.store import (
    Measurement,
    MeasurementStore,
    Subject,
    find_plan,
    name_candidate,
    name_plan,
    package_digest,
    subject_of,
)
from inference_models.negotiate.case import Plan
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from measure.packages import ENVIRONMENT, asking, classifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.measure.settings import LoadToMeasure


@pytest.fixture
def asked(tmp_path: Path) -> LoadToMeasure:
    return asking(classifier(tmp_path / "a"), classifier(tmp_path / "b"))


def parts(asked: LoadToMeasure) -> tuple[object, ...]:
    return asked.model, asked.source, asked.choice, asked.load, asked.memory


def keep(asked: LoadToMeasure, *, position: int = 1, threads: int | None = 1) -> Path:
    """Remember a plan as fastest; returns its file."""
    subject = subject_of(asked.model, asked.source.name, asked.load, asked.memory)
    measurement = Measurement(
        subject=subject,
        created_at=datetime.now(timezone.utc),
        library_version="1",
        budget=60,
        winner=name_plan(Plan(asked.choice.admissible[position], threads)),
        looked_at=[name_candidate(candidate) for candidate in asked.choice.admissible],
    )
    MeasurementStore().facts.write(subject.key, measurement)
    return MeasurementStore().facts.path_of(subject.key)


def chosen(asked: LoadToMeasure) -> tuple[str, str, int | None]:
    selection = select_plans(*parts(asked)[:4])
    first = selection.plans[0]
    return selection.reason, first.candidate.package.package_id, first.threads


class TestRemembered:
    def test_comes_first_and_the_rest_in_the_declared_order(self, asked: LoadToMeasure) -> None:
        keep(asked)
        selection = select_plans(*parts(asked)[:4])
        assert [(plan.candidate.package.package_id, plan.threads) for plan in selection.plans] == [
            ("b", 1),
            ("a", None),
            ("b", None),
        ]
        assert selection.reason == "measured"

    def test_is_ignored_when_the_declared_order_is_asked_for(self, asked: LoadToMeasure) -> None:
        keep(asked)
        ordered = replace(asked, load=replace(asked.load, options=LoadOptions(select="order")))
        assert chosen(ordered) == ("order", "a", None)
        assert remembered_plan(*parts(ordered)) is None

    def test_holds_for_measured_as_for_auto(self, asked: LoadToMeasure) -> None:
        keep(asked)
        again = replace(asked, load=replace(asked.load, options=LoadOptions(select="measured")))
        assert chosen(again) == ("measured", "b", 1)

    @pytest.mark.parametrize(
        "change",
        [
            lambda asked: replace(asked, load=replace(asked.load, options=LoadOptions(threads=2))),
            lambda asked: replace(asked, load=replace(asked.load, options=LoadOptions(allow_fallback=True))),
            lambda asked: replace(
                asked, load=replace(asked.load, options=LoadOptions(allow_local_code_packages="sha256:1"))
            ),
            lambda asked: replace(asked, load=replace(asked.load, device="cpu")),
            lambda asked: replace(asked, load=replace(asked.load, execution_providers=("CPUExecutionProvider",))),
            lambda asked: replace(asked, source=replace(asked.source, name="others")),
            lambda asked: replace(asked, model=replace(asked.model, model_id="team/n")),
            lambda asked: replace(
                asked, load=replace(asked.load, wanted=PackageRequest(backends=frozenset({BackendType.ONNX})))
            ),
            lambda asked: replace(asked, choice=replace(asked.choice, environment=replace(ENVIRONMENT, cpus=64))),
        ],
        ids=["threads", "fallback", "code", "device", "providers", "provider", "model", "request", "machine"],
    )
    def test_holds_for_the_same_question_only(
        self, asked: LoadToMeasure, change: Callable[[LoadToMeasure], LoadToMeasure]
    ) -> None:
        keep(asked)
        assert chosen(change(asked)) == ("order", "a", None)

    def test_plan_must_be_admissible_still(self, asked: LoadToMeasure) -> None:
        keep(asked)
        fewer = replace(asked, choice=replace(asked.choice, verdicts=asked.choice.verdicts[:1]))
        assert chosen(fewer) == ("order", "a", None)

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_plan_and_all_it_was_compared_with_must_be_of_the_same_files(
        self, asked: LoadToMeasure, tmp_path: Path, name: str
    ) -> None:
        keep(asked)
        (tmp_path / name / "class_names.txt").write_text("c\nd\ne\n")
        assert chosen(asked) == ("order", "a", None)

    def test_ends_with_a_package_that_was_published_later_and_is_said(
        self, asked: LoadToMeasure, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        keep(asked)
        more = asking(*(candidate.package for candidate in asked.choice.admissible), classifier(tmp_path / "c"))
        with caplog.at_level(logging.INFO, "inference-models"):
            assert chosen(more) == ("order", "a", None)
        assert caplog.messages == ["what was measured for 'team/m' is not used: there are packages it did not look at"]
        # With fewer than there were, what is left was measured all the same.
        fewer = replace(asked, choice=replace(asked.choice, verdicts=asked.choice.verdicts[1:]))
        assert chosen(fewer) == ("measured", "b", 1)

    @pytest.mark.parametrize("threads", [usable_cpus() + 1, 4096])
    def test_threads_must_be_such_as_would_be_measured(self, asked: LoadToMeasure, threads: int) -> None:
        keep(asked, threads=threads)
        assert chosen(asked) == ("order", "a", None)

    def test_is_the_same_whatever_the_order_in_which_backends_were_named(self, asked: LoadToMeasure) -> None:
        kinds = [BackendType.ONNX, BackendType.TORCH, BackendType.OPENVINO, BackendType.HF]
        keys = set()
        for order in (kinds, kinds[::-1]):
            load = replace(asked.load, wanted=PackageRequest(backends=frozenset(order)))
            memory = RememberedModels(load, asked.memory.environment)
            keys.add(subject_of(asked.model, "p", asked.load, memory).key)
        assert len(keys) == 1


class TestDamage:
    def test_counts_as_absent_is_said_and_can_be_replaced(
        self, asked: LoadToMeasure, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = keep(asked)
        path.write_bytes(path.read_bytes().replace(b'"threads": 1', b'"threads": 2'))
        with caplog.at_level(logging.WARNING):
            assert chosen(asked) == ("order", "a", None)
        assert f"{path}: remembered measurement ignored: its checksum does not match; without it " in caplog.text
        keep(asked)
        assert chosen(asked) == ("measured", "b", 1)

    @pytest.mark.parametrize(
        "change",
        [
            {"format": 2},
            {"subject": {"provider": "others"}},
            {"subject": {"machine": "another"}},
            {"subject": {"request": "another"}},
            {"winner": {"package_id": None}},
            {"winner": {"runtime": "magic"}},
            {"winner": {"threads": 0}},
            {"winner": {"package_id": "c"}},
            {"winner": {"package_digest": "x"}},
            {"winner": "rm -rf"},
        ],
    )
    def test_what_is_whole_and_names_no_plan_of_ours_is_not_believed(
        self, asked: LoadToMeasure, change: dict[str, Any]
    ) -> None:
        path = keep(asked)
        content = json.loads(path.read_bytes())
        for name, value in change.items():
            content[name] = {**content[name], **value} if isinstance(value, dict) else value
        rewrite(path, content)
        assert chosen(asked) == ("order", "a", None)

    def test_fields_of_later_releases_do_no_harm(self, asked: LoadToMeasure) -> None:
        path = keep(asked)
        rewrite(path, {**json.loads(path.read_bytes()), "later": 1})
        assert chosen(asked) == ("measured", "b", 1)


def rewrite(path: Path, content: dict[str, Any]) -> None:
    """Other content with the right checksum."""
    del content[CHECKSUM]
    checksum = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**content, CHECKSUM: checksum}))


def test_signatures_of_urls_are_not_kept(asked: LoadToMeasure) -> None:
    url = "https://bucket.example/m/manifest.json?X-Signature=canary-1"
    signed = replace(asked, model=replace(asked.model, model_id=url))
    path = keep(signed)
    assert b"canary" not in path.read_bytes()
    other = replace(asked, model=replace(asked.model, model_id=url.replace("canary-1", "another")))
    assert chosen(other) == ("measured", "b", 1)


def test_the_digest_of_a_package_is_that_of_its_announced_files(asked: LoadToMeasure) -> None:
    package = asked.choice.admissible[0].package
    files = [
        FileDownloadSpecs("https://a/1", "weights.onnx", sha256_hash="AA" * 32, size=1),
        InlineFileSpecs("class_names.txt", "a\n"),
    ]
    first = package_digest(replace(package, package_artefacts=files))
    moved = replace(files[0], download_url="https://b/2?signed", sha256_hash="aa" * 32)
    assert package_digest(replace(package, package_artefacts=[files[1], moved])) == first
    other = replace(files[0], sha256_hash="bb" * 32)
    assert package_digest(replace(package, package_artefacts=[other, files[1]])) != first


def test_a_plan_is_found_by_package_runtime_and_setting(asked: LoadToMeasure) -> None:
    plans = [Plan(each, threads) for each in asked.choice.admissible for threads in (1, 2)]
    assert find_plan(plans, name_plan(plans[3])) is plans[3]
    named = name_plan(plans[3])
    for change in ({"runtime": BackendType.TORCH}, {"threads": 3}, {"package_digest": "0"}, {"package_id": "c"}):
        assert find_plan(plans, structs.replace(named, **change)) is None
    assert find_plan(plans, structs.replace(named, execution_providers=("AzureExecutionProvider",))) is None


def test_keys_are_names_every_file_system_takes() -> None:
    subject = Subject(provider="p\0", model_id="../../etc", machine="\udcff", request="")
    assert len(subject.key) == 64
    assert subject.key.isalnum()
