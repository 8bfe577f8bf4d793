from __future__ import annotations

import numpy as np
import pytest

from inference_models.parity.compare import FP32
from inference_models.parity.raw import RawTally


def test_differences_are_relative_to_the_largest_magnitude_over_all_inputs() -> None:
    tally = RawTally()
    tally.compare({"a": np.array([1.0, -2.0])}, {"a": np.array([1.0, -2.5])})
    tally.compare({"a": np.array([8.0, 0.0])}, {"a": np.array([8.0, 0.1])})
    (output,) = tally.deviation().outputs
    assert (output.max_abs, output.max_rel) == (0.5, 0.5 / 8)
    assert tally.deviation().images == 2


def test_an_output_that_is_zero_everywhere_differs_wholly_or_not_at_all() -> None:
    for other, relative in ((0.0, 0.0), (1e-9, 1.0)):
        tally = RawTally()
        tally.compare({"a": np.zeros(2)}, {"a": np.full(2, other)})
        assert tally.deviation().outputs[0].max_rel == relative


def test_outputs_are_paired_by_name_where_the_names_are_the_same() -> None:
    first = {"a": np.array([1.0]), "b": np.array([2.0])}
    tally = RawTally()
    tally.compare(first, {"b": np.array([2.0]), "a": np.array([1.0])})
    assert [output.max_rel for output in tally.deviation().outputs] == [0, 0]


def test_outputs_are_paired_by_order_where_the_names_differ() -> None:
    tally = RawTally()
    tally.compare({"a": np.array([1.0]), "b": np.array([2.0])}, {"x": np.array([1.0]), "y": np.array([2.5])})
    assert [(output.name, output.max_rel) for output in tally.deviation().outputs] == [("x", 0.0), ("y", 0.25)]
    assert tally.deviation().beyond(FP32) == (
        "output 'y' differs by up to 0.25 of its largest magnitude (allowed: 0.001)",
    )


@pytest.mark.parametrize(
    ("other", "note"),
    [
        ({"a": np.zeros(3)}, "output 'a' has the shape (3,), that of the reference (2,)"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "it has 2 outputs, the reference 1"),
    ],
)
def test_what_has_another_form_is_not_compared(other: dict[str, np.ndarray], note: str) -> None:
    tally = RawTally()
    tally.compare({"a": np.zeros(2)}, other)
    assert (tally.deviation().images, tally.deviation().note) == (0, note)


def test_what_is_no_number_is_counted_by_output_and_hides_nothing_else() -> None:
    first = {"a": np.array([1.0, 2.0, 4.0]), "ids": np.array([3])}
    second = {"a": np.array([np.nan, np.inf, 5.0]), "ids": np.array([3])}
    tally = RawTally()
    tally.check(second)
    tally.compare(first, second)
    found = tally.deviation()
    assert found.not_finite() == ("output 'a' holds 2 numbers that are not finite",)
    assert found.outputs[0].max_abs == 1.0


def test_whole_numbers_are_compared_without_wrapping_round() -> None:
    tally = RawTally()
    tally.compare({"a": np.array([2], np.uint8)}, {"a": np.array([3], np.uint8)})
    assert tally.deviation().outputs[0].max_abs == 1


def test_differences_beyond_all_numbers_stay_numbers() -> None:
    tally = RawTally()
    tally.compare({"a": np.array([-1e308]), "b": np.array([5e-324])}, {"a": np.array([1e308]), "b": np.array([1e300])})
    assert all(np.isfinite([output.max_abs, output.max_rel]).all() for output in tally.deviation().outputs)
