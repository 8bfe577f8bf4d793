"""What measuring found: one frozen object that the command line prints and `--json` writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inference_models.text import plain, printable

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA_VERSION = 1
WINNER = "winner"
TIED = "tied"
SLOWER = "slower"
CRASHED = "crashed"
HUNG = "hung"
FAILED = "failed"
DISAGREES = "disagrees"
UNJUDGED = "not judged"
TOO_MUCH_MEMORY = "too much memory"
NOT_FETCHED = "not fetched"
NOT_REACHED = "not reached"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How fast one candidate was; times are milliseconds of one call, pre-processing included."""

    median_ms: float
    p95_ms: float
    calls: int
    rounds: int
    spread: float
    """How much its rounds differ: half their interquartile range, as a share of their median."""
    slower: float = 0.0
    """Than the fastest, round against round, as a share: 0.1 is 10 %."""
    uncertainty: float | None = None
    """Half the width of the 95 % interval of `slower`; None: too few rounds to say."""


@dataclass(frozen=True, kw_only=True)
class TuneRow:
    """One candidate with one setting, and what became of it."""

    candidate: str
    """For people: `7c20 onnx fp32 through openvino`."""
    package_id: str
    package_format: str
    quantization: str
    backend: str
    """The runtime."""
    threads: int | None
    """None: the runtime's own, or what the caller said."""
    execution_providers: tuple[str, ...] | None
    status: str
    """`winner`, `tied`, `slower`; out are `crashed`, `hung`, `failed`, `disagrees`, `too much memory`, `not fetched`,
    `not judged`: whether it disagrees nobody can say; `not reached`: the budget ended before."""
    verdict: str
    """In words."""
    timing: Timing | None = None
    load_seconds: float | None = None
    """From the package on disk to a model that can be called, the import of the runtime included."""
    peak_memory: int | None = None
    """Bytes of its process at most."""
    device: str | None = None
    last_lines: tuple[str, ...] = ()
    """What a candidate that is out wrote to standard error last."""

    @property
    def setting(self) -> str:
        """For people: `2 threads, CPUExecutionProvider`."""
        threads = None if self.threads is None else f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return ", ".join(part for part in (threads, *(self.execution_providers or ())) if part) or "-"


@dataclass(frozen=True, kw_only=True)
class TuneReport:
    """What was measured for one model on this machine."""

    model_id: str
    provider: str
    created_at: str
    """ISO 8601, UTC."""
    library_version: str
    machine: str
    """Fingerprint: what is remembered holds as long as it stays the same."""
    budget: float
    """Seconds measuring may take; fetching comes before."""
    seconds: float
    """Seconds it took."""
    images: int
    """Pictures the answers were compared on."""
    reference: str | None
    """The candidate the answers of the others were compared with."""
    rows: tuple[TuneRow, ...]
    """The winner first, then by time, then what is out."""
    remembered: bool = False
    """Whether later loads will take the winner."""
    notes: tuple[str, ...] = ()
    """What the numbers do not say."""

    @property
    def winner(self) -> TuneRow | None:
        """None: nothing could be measured."""
        return next((row for row in self.rows if row.status == WINNER), None)

    def to_dict(self) -> dict[str, Any]:
        """The report as values JSON can hold; the keys are the names of the fields."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def render(self, console: Console) -> None:
        """Print it as a table, with what matters below."""
        from rich.table import Table  # noqa: PLC0415 - only needed to print

        table = Table()
        table.add_column("candidate")
        table.add_column("setting")
        for name in ("median ms", "p95 ms", "noise", "MB", "load s", "calls"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict")
        for row in self.rows:
            table.add_row(plain(row.candidate), plain(row.setting), *_numbers(row), plain(row.verdict))
        console.print(table)
        for line in self._lines():
            console.print(plain(line), soft_wrap=True)

    def _lines(self) -> list[str]:
        """What is said below the table."""
        best = self.winner
        if best is None:
            first = "nothing could be measured; the declared order stays"
        else:
            told = "later loads take it" if self.remembered else "it is not remembered"
            first = f"fastest here: {best.candidate}, {best.setting}; {told}"
        compared = f"answers compared on {self.images} pictures with {self.reference}" if self.reference else ""
        took = f"measured for {self.seconds:.1f} s of {self.budget:g} s"
        told_errors = [
            f"{row.candidate}, {row.setting}: {printable(line)}" for row in self.rows for line in row.last_lines[-3:]
        ]
        return [first, "; ".join(part for part in (took, compared) if part), *self.notes, *told_errors]


def _numbers(row: TuneRow) -> list[str]:
    memory = "" if row.peak_memory is None else f"{row.peak_memory / 1e6:,.0f}"
    load = "" if row.load_seconds is None else f"{row.load_seconds:.2f}"
    timing = row.timing
    if timing is None:
        return ["", "", "", memory, load, ""]
    times = f"{timing.median_ms:.2f}", f"{timing.p95_ms:.2f}", f"±{timing.spread:.1%}"
    return [*times, memory, load, str(timing.calls)]
