"""The report as a person reads it, word for word."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import pytest
from rich.console import Console

from inference_models.parity.certificate import Certificate, ImageFacts, Subject
from inference_models.parity.compare import DeviationFacts, Gate
from inference_models.parity.raw import OutputDeviation
from inference_models.parity.report import ParityReport, ParityRow, render, verdict_of

IMAGES = ImageFacts(kind="probe", count=16, digest="9b0562d77ce9" + "0" * 52)
GATE = Gate(matched=1, box_px=0.5, score=0.001, mask_iou=0.99, pixels=0.001, raw=0.001)


def subject(package_id: str, runtime: str = "onnx", quantization: str = "fp32") -> Subject:
    return Subject(
        package_id=package_id,
        package_format="onnx",
        quantization=quantization,
        runtime=runtime,
        runtime_version="1.0",
        files="f" * 64,
        device="cpu",
    )


def certificate(of: Subject, **values: Any) -> Certificate:
    given = {
        "subject": of,
        "reference": subject("a1"),
        "deviation": None if of == subject("a1") else DeviationFacts(),
        "gate": None if of == subject("a1") else GATE,
        "passed": True,
        **values,
    }
    return Certificate(
        model_id="m",
        provider="host",
        library_version="1",
        machine="x",
        images=IMAGES,
        created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        **given,
    )


def row(of: Subject, **values: Any) -> ParityRow:
    notes = values.pop("notes", ())
    made = certificate(of, **values)
    return ParityRow(label=of.label, package_id=of.package_id, runtime=of.runtime, certificate=made, notes=notes)


FAILED = ("1 of 9 objects have no partner (allowed: none)", "boxes differ by up to 12.00 px (allowed: 0.5)")
OUTPUTS = (OutputDeviation(name="o", max_abs=1, max_rel=2.1e-6, not_finite=0),)
OBJECTS = DeviationFacts(objects=9, matched=9, max_box_px=0.00058, max_score=4.5e-7)
REPORT = ParityReport(
    model_id="m",
    machine="linux x86_64, python 3.11",
    reference="package a1 (onnx fp32) in onnx, cpu",
    reason="the first fp32 package on ONNX Runtime, on the CPU",
    images=IMAGES,
    rows=(
        row(subject("a1")),
        row(subject("a1", "openvino"), deviation=OBJECTS, outputs=OUTPUTS, compared_inputs=16),
        row(
            subject("b2"),
            outputs=OUTPUTS,
            compared_inputs=16,
            notes=("no object above 0.3 on the probe images: only raw outputs were compared",),
        ),
        row(subject("c3"), passed=False, violations=FAILED),
        row(
            subject("d4", quantization="int8"),
            gate=None,
            passed=False,
            deviation=DeviationFacts(objects=9, matched=8, unmatched=1),
        ),
        ParityRow(
            label="e5 trt fp16", package_id="e5", runtime="trt", failure="no driver (needs a driver; found: none)"
        ),
    ),
)
TEXT = """\
parity of 'm' on 16 probe images (9b0562d77ce9)
this machine  linux x86_64, python 3.11
reference     package a1 (onnx fp32) in onnx, cpu: the first fp32 package on ONNX Runtime, on the CPU

package a1 (onnx fp32) in ONNX Runtime  reference
package a1 (onnx fp32) in OpenVINO      passed: 9 of 9 objects matched, boxes within 0.00058 px, scores within 4.5e-07, outputs within 2.1e-06
package b2 (onnx fp32) in ONNX Runtime  passed: outputs within 2.1e-06
                                        note: no object above 0.3 on the probe images: only raw outputs were compared
package c3 (onnx fp32) in ONNX Runtime  failed: 1 of 9 objects have no partner (allowed: none); boxes differ by up to 12.00 px (allowed: 0.5)
package d4 (onnx int8) in ONNX Runtime  no gate for int8: 8 of 9 objects matched, boxes within 0 px, scores within 0
e5 trt fp16                             not compared: no driver (needs a driver; found: none)
"""  # noqa: E501 - as it is printed


def test_the_report_reads_like_this() -> None:
    stream = io.StringIO()
    render(REPORT, Console(file=stream, width=80))
    assert stream.getvalue() == TEXT


@pytest.mark.parametrize(
    ("deviation", "words"),
    [
        (
            DeviationFacts(classified=16, top1_flips=1, max_score=0.002),
            "15 of 16 images classified alike, scores within 0.002",
        ),
        (
            DeviationFacts(classified=4, label_flips=2),
            "4 of 4 images classified alike, 2 labels given by one side only, scores within 0",
        ),
        (DeviationFacts(pixels=1000, pixel_flips=1), "0.10% of the pixels of another class, scores within 0"),
        (
            DeviationFacts(matched=8, unmatched=1, borderline=1, mean_mask_iou=0.9987, min_mask_iou=0.99),
            "8 of 9 objects matched (1 borderline), boxes within 0 px, masks overlap by 0.999, scores within 0",
        ),
        (
            DeviationFacts(matched=2, max_point_px=0.25),
            "2 of 2 objects matched, boxes within 0 px, key points within 0.25 px, scores within 0",
        ),
    ],
)
def test_every_kind_of_answer_has_its_numbers(deviation: DeviationFacts, words: str) -> None:
    assert verdict_of(row(subject("b2"), deviation=deviation)) == f"passed: {words}"


def test_a_reference_that_answers_rubbish_fails_itself() -> None:
    found = ("output 'o' holds 3 numbers that are not finite",)
    reference = row(subject("a1"), passed=False, violations=found)
    assert verdict_of(reference) == "failed: output 'o' holds 3 numbers that are not finite"


def test_the_report_passes_where_nothing_differs_more_than_it_may() -> None:
    rows = REPORT.rows
    for chosen, passed in (
        (rows[:3], True),
        (rows[:4], False),
        ((rows[0], rows[4]), True),
        ((rows[0], rows[5]), False),
    ):
        report = ParityReport(model_id="m", machine="", reference="", reason="", images=IMAGES, rows=tuple(chosen))
        assert report.passed is passed


def test_the_same_as_data() -> None:
    data = REPORT.to_dict()
    assert (data["schema_version"], data["passed"], len(data["candidates"])) == (1, False, 6)
    assert data["candidates"][1]["certificate"]["deviation"]["matched"] == 9
    assert data["candidates"][5] == {
        "package_id": "e5",
        "runtime": "trt",
        "verdict": "not compared: no driver (needs a driver; found: none)",
        "notes": [],
        "certificate": None,
        "file": None,
    }
