"""Remembered decisions: found for the same question on the same machine, and for nothing else."""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from packaging.version import Version

from inference_models.cache.resolution_files import AutoResolutionCacheEntry, FileResolutionCache, is_fresh
from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    LocalFileArtefactSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    Quantization,
)
from inference_models.errors import ModelRetrievalError
from inference_models.loading.address import RememberedProvider
from inference_models.loading.remember import Question, Resolutions
from inference_models.machine.environment import Environment, machine_fingerprint
from inference_models.negotiate.request import PackageRequest
from inference_models.providers import DescribeOptions

KEY = "canary-key-3f9c"
URL = "https://user:canary-password@files.example/a/weights.onnx?X-Goog-Signature=canary-signature#part"
WEIGHTS = FileDownloadSpecs(URL, "weights.onnx", md5_hash="0" * 32, sha256_hash="1" * 64, size=5)
PACKAGES = [
    ModelPackageMetadata("onnx1", BackendType.ONNX, [WEIGHTS, InlineFileSpecs("class_names.txt", "a\n")]),
    ModelPackageMetadata("torch1", BackendType.TORCH, [WEIGHTS], model_features={"nms_fused": {"iou_threshold": 0.7}}),
]
MODEL = ModelMetadata("team/dogs/3", "yolov8", PACKAGES, task_type="object-detection")
MACHINE = Environment(
    system="linux x86_64", python="3.11", runtimes={BackendType.ONNX: Version("1.23.0"), BackendType.TORCH: None}
)
QUESTION = Question(
    provider="hosted", model_id="dogs/latest", request=PackageRequest(), machine=machine_fingerprint(MACHINE)
)


@pytest.fixture
def memory(tmp_path: Path) -> Resolutions:
    return Resolutions(root=tmp_path)


def entries(root: Path) -> list[Path]:
    return sorted(root.rglob("*.json"))


class TestTheSameQuestion:
    def test_gives_the_model_and_the_package(self, memory: Resolutions) -> None:
        memory.remember(QUESTION, MODEL, "torch1")
        decision = memory.recall(QUESTION)
        assert decision is not None
        assert decision.package_id == "torch1"
        assert decision.model.model_id == "team/dogs/3"
        plain = replace(WEIGHTS, download_url="https://files.example/a/weights.onnx")
        assert decision.model.model_packages == [
            replace(PACKAGES[0], package_artefacts=[plain, InlineFileSpecs("class_names.txt", "a\n")]),
            replace(PACKAGES[1], package_artefacts=[plain]),
        ]

    def test_is_not_answered_before_it_was_asked_or_after_it_was_forgotten(self, tmp_path: Path) -> None:
        assert Resolutions(root=tmp_path).recall(QUESTION) is None
        assert list(tmp_path.iterdir()) == []
        Resolutions(root=tmp_path).remember(QUESTION, MODEL, "onnx1")
        assert Resolutions(root=tmp_path).recall(QUESTION) is not None
        Resolutions(root=tmp_path).forget(QUESTION)
        assert Resolutions(root=tmp_path).recall(QUESTION) is None


class TestAnotherQuestion:
    @pytest.mark.parametrize(
        "change",
        [
            {"request": PackageRequest(device="cuda:0")},
            {"request": PackageRequest(backends=frozenset({BackendType.ONNX, BackendType.TORCH}))},
            {"request": PackageRequest(quantizations=frozenset({Quantization.INT8}))},
            {"request": PackageRequest(batch_size=(1, 8))},
            {"request": PackageRequest(allow_untrusted=True)},
            {"execution_providers": (("CPUExecutionProvider", {"use_arena": "0"}),)},
            {"machine": machine_fingerprint(replace(MACHINE, python="3.12"))},
        ],
        ids=["device", "backend", "quantization", "batch", "trust", "execution provider", "machine"],
    )
    def test_about_the_same_model_gets_the_description_only(self, memory: Resolutions, change: dict) -> None:
        memory.remember(QUESTION, MODEL, "onnx1")
        decision = memory.recall(replace(QUESTION, **change))
        assert decision is not None
        assert decision.package_id is None
        assert decision.model.model_id == "team/dogs/3"

    @pytest.mark.parametrize(
        "change",
        [
            {"provider": "other"},
            {"model_id": "cats/latest"},
            {"options": DescribeOptions(api_key=KEY)},
            {"options": DescribeOptions(extra_headers=(("X-Team", "b"),))},
            {"options": DescribeOptions(extra_query_params=(("branch", "b"),))},
            {"options": DescribeOptions(architecture="yolov9")},
            {"options": DescribeOptions(labels=["cat"])},
        ],
        ids=["provider", "id", "key", "header", "query", "architecture", "labels"],
    )
    def test_about_something_else_gets_nothing(self, memory: Resolutions, change: dict) -> None:
        memory.remember(QUESTION, MODEL, "onnx1")
        assert memory.recall(replace(QUESTION, **change)) is None

    def test_sets_are_the_same_in_any_order(self, memory: Resolutions) -> None:
        some = [BackendType.ONNX, BackendType.TORCH, BackendType.TRT, BackendType.HF]
        memory.remember(replace(QUESTION, request=PackageRequest(backends=frozenset(some))), MODEL, "onnx1")
        again = memory.recall(replace(QUESTION, request=PackageRequest(backends=frozenset(reversed(some)))))
        assert again is not None
        assert again.package_id == "onnx1"


class TestMachine:
    def test_a_change_of_runtimes_is_another_machine(self) -> None:
        onnx, torch = BackendType.ONNX, BackendType.TORCH
        updated, added = {onnx: Version("1.24.0")}, {**MACHINE.runtimes, torch: Version("2.13.0")}
        known = [machine_fingerprint(replace(MACHINE, runtimes=made)) for made in (updated, added, {})]
        assert machine_fingerprint(MACHINE) not in known
        assert machine_fingerprint(replace(MACHINE, runtimes=dict(MACHINE.runtimes))) == machine_fingerprint(MACHINE)

    def test_the_configured_provider_order_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = machine_fingerprint(MACHINE)
        monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "CPUExecutionProvider")
        assert machine_fingerprint(MACHINE) != before


class TestLifetime:
    def entry(self, age: timedelta) -> AutoResolutionCacheEntry:
        return AutoResolutionCacheEntry(
            provider="p",
            model_id="m",
            canonical_model_id="m",
            created_at=datetime.now(timezone.utc) - age,
            description={},
        )

    @pytest.mark.parametrize(
        ("age", "fresh"),
        [
            (timedelta(0), True),
            (timedelta(minutes=1439), True),
            (timedelta(minutes=1441), False),
            (timedelta(days=3650), False),
            (-timedelta(minutes=1), True),
            (-timedelta(days=3650), False),
        ],
    )
    def test_an_answer_lives_a_day_and_one_from_the_future_not_at_all(self, age: timedelta, fresh: bool) -> None:
        assert is_fresh(self.entry(age)) is fresh

    def test_the_variable_sets_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTO_LOADER_CACHE_EXPIRATION_MINUTES", "10")
        assert is_fresh(self.entry(timedelta(minutes=9)))
        assert not is_fresh(self.entry(timedelta(minutes=11)))

    def test_a_cache_that_must_not_be_written_to_never_ages(
        self, memory: Resolutions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        memory.remember(QUESTION, MODEL, "onnx1")
        monkeypatch.setattr("time.time", lambda: 0.0)
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert memory.recall(QUESTION) is not None


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            (lambda path: path.write_bytes(b""), "it is no JSON object"),
            (lambda path: path.write_bytes(path.read_bytes()[:-9]), "it is no JSON object"),
            (
                lambda path: path.write_bytes(path.read_bytes().replace(b"onnx1", b"onnx2")),
                "its checksum does not match",
            ),
            (lambda path: path.write_bytes(os.urandom(500)), "it is no JSON object"),
            (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
            (lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to(path.with_suffix(".x"))), "a link"),
        ],
        ids=["empty", "cut off", "changed", "random", "a folder", "a link"],
    )
    def test_a_damaged_entry_is_named_ignored_and_replaced(
        self, memory: Resolutions, tmp_path: Path, damage, said: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        memory.remember(QUESTION, MODEL, "onnx1")
        for path in entries(tmp_path):
            damage(path)
        with caplog.at_level(logging.WARNING, logger="inference-models"):
            assert memory.recall(QUESTION) is None
        assert all(said in record.getMessage() and str(tmp_path) in record.getMessage() for record in caplog.records)
        assert len(caplog.records) == 2
        memory.remember(QUESTION, MODEL, "onnx1")
        assert memory.recall(QUESTION) is not None

    def test_an_entry_of_another_model_in_its_place_is_not_taken(self, memory: Resolutions, tmp_path: Path) -> None:
        memory.remember(QUESTION, MODEL, "onnx1")
        before = entries(tmp_path)
        memory.remember(replace(QUESTION, model_id="cats"), MODEL, "onnx1")
        other = next(path for path in entries(tmp_path) if path not in before)
        for path in before:
            path.write_bytes(other.read_bytes())
        assert memory.recall(QUESTION) is None

    def test_a_full_or_closed_disk_is_no_error(
        self, memory: Resolutions, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "resolutions").write_text("a file where the folder should be")
        with caplog.at_level(logging.INFO, logger="inference-models"):
            memory.remember(QUESTION, MODEL, "onnx1")
        assert "was not remembered" in caplog.text


class TestSecrets:
    def test_neither_keys_nor_signatures_are_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = DescribeOptions(
            api_key=KEY, extra_headers=(("X-Key", "canary-header"),), extra_query_params=(("k", "canary-query"),)
        )
        Resolutions(root=tmp_path).remember(replace(QUESTION, options=options), MODEL, "onnx1")
        monkeypatch.setenv("ROBOFLOW_API_KEY", "canary-variable")
        Resolutions(root=tmp_path).remember(replace(QUESTION, provider="roboflow"), MODEL, "onnx1")
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(written) == 5  # two entries for each question, and the salt
        for path in written:
            assert b"canary" not in path.read_bytes()
            assert "canary" not in str(path)

    def test_the_same_key_gives_other_names_in_another_cache(self, tmp_path: Path) -> None:
        question = replace(QUESTION, options=DescribeOptions(api_key=KEY))
        for name in ("a", "b"):
            Resolutions(root=tmp_path / name).remember(question, MODEL, "onnx1")
        names = [{path.name for path in entries(tmp_path / name)} for name in ("a", "b")]
        assert not names[0] & names[1]

    def test_the_key_of_the_environment_is_a_key(self, memory: Resolutions, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = replace(QUESTION, provider="roboflow", options=DescribeOptions(api_key=KEY))
        memory.remember(asked, MODEL, "onnx1")
        assert memory.recall(replace(asked, options=DescribeOptions())) is None
        monkeypatch.setenv("ROBOFLOW_API_KEY", KEY)
        assert memory.recall(replace(asked, options=DescribeOptions())) is not None
        assert memory.recall(replace(asked, options=DescribeOptions(api_key="local"))) is not None

    def test_another_host_is_another_answer(self, memory: Resolutions, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = replace(QUESTION, provider="roboflow")
        memory.remember(asked, MODEL, "onnx1")
        monkeypatch.setenv("ROBOFLOW_API_HOST", "http://127.0.0.1:9")
        assert memory.recall(asked) is None


class TestWhatIsNotRemembered:
    @pytest.mark.parametrize("provider", ["local", "wheel"])
    def test_providers_that_need_no_network(self, memory: Resolutions, tmp_path: Path, provider: str) -> None:
        question = replace(QUESTION, provider=provider)
        memory.remember(question, MODEL, "onnx1")
        memory.remember_for_everyone(provider, MODEL.model_id, MODEL)
        assert memory.recall(question) is None
        assert entries(tmp_path) == []

    @pytest.mark.parametrize(
        "package",
        [
            ModelPackageMetadata("p", BackendType.ONNX, [LocalFileArtefactSpecs("weights.onnx", Path("/x"))]),
            ModelPackageMetadata("p", BackendType.ONNX, [], model_features={"shape": (1, 2)}),
            ModelPackageMetadata("p", BackendType.ONNX, [], model_features={"scale": float("nan")}),
            ModelPackageMetadata("p", BackendType.ONNX, [], model_features={"made": object()}),
        ],
        ids=["files of the user", "a tuple", "nan", "an object"],
    )
    def test_descriptions_that_would_not_come_back_the_same(
        self, memory: Resolutions, tmp_path: Path, package: ModelPackageMetadata
    ) -> None:
        memory.remember(QUESTION, replace(MODEL, model_packages=[package]), "p")
        assert entries(tmp_path) == []

    def test_nothing_is_tried_in_a_cache_that_must_not_be_written_to(
        self, memory: Resolutions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        memory.remember(replace(QUESTION, options=DescribeOptions(api_key=KEY)), MODEL, "onnx1")
        assert list(tmp_path.iterdir()) == []


class Dictionary:
    """A cache as somebody may write one: keeps what it is given as JSON."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def register(self, auto_negotiation_hash: str, cache_entry: AutoResolutionCacheEntry) -> None:
        self.kept[auto_negotiation_hash] = cache_entry.model_dump_json()

    def retrieve(self, auto_negotiation_hash: str) -> dict | None:
        text = self.kept.get(auto_negotiation_hash)
        return None if text is None else json.loads(text)

    def invalidate(self, auto_negotiation_hash: str) -> None:
        self.kept.pop(auto_negotiation_hash, None)


class TestACacheOfOnesOwn:
    @pytest.mark.parametrize("answer", ['{"model_id": 7}', '"text"', "[]"])
    def test_that_answers_nonsense_is_no_error(self, tmp_path: Path, answer: str) -> None:
        kept = Dictionary()
        memory = Resolutions(kept, root=tmp_path)
        memory.remember(QUESTION, MODEL, "onnx1")
        assert memory.recall(QUESTION) is not None
        assert (len(kept.kept), entries(tmp_path)) == (2, [])
        kept.kept = dict.fromkeys(kept.kept, answer)
        assert memory.recall(QUESTION) is None


def test_a_description_that_came_with_the_files_is_for_everyone(memory: Resolutions) -> None:
    memory.remember_for_everyone("hosted", MODEL.model_id, MODEL)
    asked = replace(QUESTION, model_id=MODEL.model_id)
    for options in (DescribeOptions(), DescribeOptions(api_key=KEY)):
        decision = memory.recall(replace(asked, options=options))
        assert decision is not None
        assert decision.package_id is None


def test_damaged_entries_can_be_cleared_and_all_of_them(tmp_path: Path) -> None:
    files, memory = FileResolutionCache(tmp_path), Resolutions(root=tmp_path)
    memory.remember(QUESTION, MODEL, "onnx1")
    assert files.clear(damaged_only=True) == 0
    entries(tmp_path)[0].write_bytes(b"")
    assert files.clear(damaged_only=True) == 1
    assert files.clear() == 1
    assert files.clear() == 0


def test_the_stand_in_for_the_provider_says_what_happened() -> None:
    provider = RememberedProvider(MODEL)
    assert provider.describe("anything") is MODEL
    with pytest.raises(ModelRetrievalError) as caught:
        provider.read(WEIGHTS)
    assert str(caught.value) == (
        "weights.onnx of 'team/dogs/3' left the cache while it was loaded.\n"
        "needs a package that stays in the cache; found: a file that was removed or damaged in this moment\n"
        "load the model again"
    )


def test_a_salt_that_is_a_folder_is_put_aside_and_made_anew(tmp_path):
    cache = FileResolutionCache(tmp_path)
    (cache.folder / "salt").mkdir(parents=True)
    assert cache.salt() is None
    made = cache.salt(create=True)
    assert made is not None
    assert cache.salt() == made


def test_a_full_disk_only_costs_the_memory(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("inference_models.cache.resolution_files.write_atomic", full)
    assert FileResolutionCache(tmp_path).salt(create=True) is None
