from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphs
from inference_models.arrays import TensorSpec
from inference_models.backends import onnx
from inference_models.backends.session import BatchLimits, SessionRequest, run_in_batches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Doubler:
    """A session that doubles its input and remembers the batch sizes it was given."""

    running_on = "cpu"

    def __init__(self, batch: int | None) -> None:
        self.inputs = (TensorSpec("x", (batch, 2), "float32"),)
        self.outputs = (TensorSpec("y", (batch, 2), "float32"),)
        self.batches: list[int] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.batches.append(len(feeds["x"]))
        return {"y": feeds["x"] * 2}

    def close(self) -> None: ...


@given(count=st.integers(1, 20), smallest=st.integers(1, 6), extra=st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_any_count_gives_one_answer_per_image_in_order(count: int, smallest: int, extra: int) -> None:
    session = Doubler(None)
    batch = np.arange(count * 2, dtype=np.float32).reshape(count, 2)
    limits = BatchLimits(smallest, smallest + extra)
    (result,) = run_in_batches(session, batch, limits)
    np.testing.assert_array_equal(result, batch * 2)
    assert all(smallest <= size <= smallest + extra for size in session.batches)


def test_a_batch_within_the_limits_is_run_once_and_not_copied() -> None:
    session = Doubler(None)
    run_in_batches(session, np.zeros((5, 2), np.float32), BatchLimits())
    assert session.batches == [5]


@pytest.mark.parametrize(
    ("static", "dynamic", "expected"), [(4, 8, (4, 4)), (None, 8, (1, 8)), (None, None, (1, None))]
)
def test_limits_follow_the_graph_and_then_the_package(
    static: int | None, dynamic: int | None, expected: tuple[int, int | None]
) -> None:
    limits = BatchLimits.of(Doubler(static), largest_dynamic=dynamic)
    assert (limits.smallest, limits.largest) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_static_graph_gives_what_single_images_give(tmp_path: Path, count: int) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx", batch=2)
    session = onnx.open_session(SessionRequest(directory=tmp_path, files={"weights.onnx": path}))
    images = np.random.default_rng(0).normal(size=(count, 3, 8, 8)).astype(np.float32)
    (result,) = run_in_batches(session, images, BatchLimits.of(session))
    assert result.shape == (count, 4, 6, 6)
    single = [run_in_batches(session, images[index : index + 1], BatchLimits.of(session))[0] for index in range(count)]
    np.testing.assert_array_equal(result, np.concatenate(single))
