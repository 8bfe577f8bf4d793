from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from inference_models.measure.report import Timing, TuneReport, TuneRow

ROW = TuneRow(
    candidate="7c20 onnx fp32",
    package_id="7c20",
    package_format="onnx",
    quantization="fp32",
    backend="onnx",
    threads=2,
    execution_providers=None,
    status="winner",
    verdict="fastest",
    timing=Timing(median_ms=12.345, p95_ms=14.5, calls=300, rounds=40, spread=0.012),
    load_seconds=0.31,
    peak_memory=212_000_000,
    device="cpu",
)
CRASHED = TuneRow(
    candidate="a1f3 torch fp32",
    package_id="a1f3",
    package_format="torch",
    quantization="fp32",
    backend="torch",
    threads=1,
    execution_providers=None,
    status="crashed",
    verdict="it was ended by SIGILL while it was opened",
    last_lines=("Fatal Python error: Illegal instruction \x1b[31m",),
)
REPORT = TuneReport(
    model_id="team/m",
    provider="host",
    created_at="2026-01-02T03:04:05+00:00",
    library_version="1",
    machine="f",
    budget=60.0,
    seconds=41.26,
    images=16,
    reference="7c20 onnx fp32",
    rows=(ROW, CRASHED),
    remembered=True,
    notes=("a note",),
)
TEXT = """\
┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━┳━━━━━┳━━━━━━━━┳━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃ candidate       ┃ setting   ┃ median ms ┃ p95 ms ┃ noise ┃  MB ┃ load s ┃ calls ┃ verdict                  ┃
┡━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━╇━━━━━╇━━━━━━━━╇━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ 7c20 onnx fp32  │ 2 threads │     12.35 │  14.50 │ ±1.2% │ 212 │   0.31 │   300 │ fastest                  │
│ a1f3 torch fp32 │ 1 thread  │           │        │       │     │        │       │ it was ended by SIGILL   │
│                 │           │           │        │       │     │        │       │ while it was opened      │
└─────────────────┴───────────┴───────────┴────────┴───────┴─────┴────────┴───────┴──────────────────────────┘
the only one that was measured: 7c20 onnx fp32, 2 threads; later loads take it
measured for 41.3 s of 60 s; answers compared on 16 pictures with 7c20 onnx fp32
a note
a1f3 torch fp32, 1 thread: Fatal Python error: Illegal instruction \\x1b[31m
"""


def rendered(report: TuneReport) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    report.render(console)
    return console.file.getvalue()


def test_the_report_reads_well_and_steers_no_terminal() -> None:
    assert rendered(REPORT) == TEXT


def test_without_a_winner_it_says_so() -> None:
    text = rendered(replace(REPORT, rows=(CRASHED,), reference=None, remembered=False))
    assert "nothing could be measured; the declared order stays\nmeasured for 41.3 s of 60 s\na note\n" in text


def test_what_is_not_remembered_is_said() -> None:
    assert "the only one that was measured: 7c20 onnx fp32, 2 threads; it is not remembered\n" in rendered(
        replace(REPORT, remembered=False)
    )


def test_the_fastest_is_said_of_what_was_compared_alone() -> None:
    slower = replace(ROW, status="slower", threads=1, verdict="slower by 2%")
    assert "\nfastest here: 7c20 onnx fp32, 2 threads; later loads take it\n" in rendered(
        replace(REPORT, rows=(ROW, slower))
    )


def test_the_keys_of_the_json_are_stable() -> None:
    said = REPORT.to_dict()
    assert " ".join(said) == (
        "schema_version model_id provider created_at library_version machine budget seconds images reference rows "
        "busy remembered notes"
    )
    assert " ".join(said["rows"][0]) == (
        "candidate package_id package_format quantization backend threads execution_providers status verdict timing "
        "load_seconds peak_memory device last_lines"
    )
    assert " ".join(said["rows"][0]["timing"]) == "median_ms p95_ms calls rounds spread slower"
