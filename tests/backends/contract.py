"""What every session promises; a backend's test inherits it and gives one fixture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.arrays import to_numpy
from inference_models.errors import ModelRuntimeError

if TYPE_CHECKING:
    from inference_models.backends.session import Session


def feed_for(session: Session, *, batch: int = 2, value: float = 0.5) -> dict[str, np.ndarray]:
    feeds = {}
    for spec in session.inputs:
        shape = tuple(batch if side is None else side for side in spec.shape)
        feeds[spec.name] = np.full(shape, value, spec.dtype)
    return feeds


def varied_feed_for(session: Session, *, batch: int = 2) -> dict[str, np.ndarray]:
    """Feeds without two equal values, so that a wrong order or stride shows; the first image is always the same."""
    feeds = {}
    for name, array in feed_for(session, batch=batch).items():
        steps = np.arange(array.size).reshape(array.shape) % 251
        feeds[name] = (steps / 251).astype(array.dtype) if array.dtype.kind == "f" else steps.astype(array.dtype)
    return feeds


def describe_first(session: Session) -> tuple[str, tuple[int | None, ...], str]:
    spec = session.inputs[0]
    return spec.name, spec.shape, spec.dtype


class SessionContract:
    """Subclasses give `session`: a fresh session whose inputs have an open batch dimension."""

    def test_inputs_and_outputs_have_names_shapes_and_numpy_dtypes(self, session: Session) -> None:
        for spec in (*session.inputs, *session.outputs):
            assert spec.name
            assert np.dtype(spec.dtype).name == spec.dtype
            assert all(side is None or side > 0 for side in spec.shape)

    def test_run_returns_every_output_by_name_in_graph_order(self, session: Session) -> None:
        result = session.run(feed_for(session))
        assert list(result) == [spec.name for spec in session.outputs]

    def test_outputs_have_the_declared_rank_and_dtype_and_the_batch_of_the_feed(self, session: Session) -> None:
        result = session.run(feed_for(session, batch=3))
        for spec in session.outputs:
            assert result[spec.name].shape[0] == 3
            assert result[spec.name].ndim == len(spec.shape)
            assert to_numpy(result[spec.name]).dtype == spec.dtype

    def test_the_same_feed_gives_the_same_answer(self, session: Session) -> None:
        first, second = session.run(feed_for(session)), session.run(feed_for(session))
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])

    def test_a_wrong_shape_is_refused_and_the_next_run_works(self, session: Session) -> None:
        name = session.inputs[0].name
        with pytest.raises(ModelRuntimeError):
            session.run({name: np.zeros((1, 1), np.float32)})
        session.run(feed_for(session))

    def test_a_missing_input_is_refused(self, session: Session) -> None:
        with pytest.raises(ModelRuntimeError):
            session.run({})

    def test_threads_do_not_see_each_others_answers(self, session: Session) -> None:
        values = [index / 8 for index in range(8)]
        expected = {value: session.run(feed_for(session, value=value)) for value in values}

        def check(value: float) -> None:
            for name, array in session.run(feed_for(session, value=value)).items():
                np.testing.assert_array_equal(array, expected[value][name])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(check, values * 5))

    def test_an_answer_is_not_changed_by_a_later_run(self, session: Session) -> None:
        first = session.run(feed_for(session, value=0.25))
        kept = {name: to_numpy(array).copy() for name, array in first.items()}
        session.run(feed_for(session, value=0.75))
        session.run(feed_for(session, batch=3, value=1.0))
        for name, array in first.items():
            np.testing.assert_array_equal(array, kept[name])

    def test_feeds_may_be_views_and_may_be_read_only_and_are_not_changed(self, session: Session) -> None:
        plain = varied_feed_for(session)
        views = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in plain.items()}
        for view in views.values():
            view.flags.writeable = False
        expected, given = session.run(plain), session.run(views)
        for name, array in expected.items():
            np.testing.assert_array_equal(given[name], array)
        for name, view in views.items():
            np.testing.assert_array_equal(view, plain[name])

    def test_a_feed_of_another_dtype_is_refused_not_converted(self, session: Session) -> None:
        name, shape, dtype = describe_first(session)
        feeds = feed_for(session)
        feeds[name] = feeds[name].astype(np.float64)
        with pytest.raises(ModelRuntimeError) as caught:
            session.run(feeds)
        assert str(caught.value) == (
            f"the feed for input {name!r} does not fit.\n"
            f"needs {shape} {dtype}; found: {feeds[name].shape} float64\n"
            f"convert the feed to {dtype}"
        )

    def test_a_feed_of_another_shape_is_refused_with_both_shapes(self, session: Session) -> None:
        name, shape, dtype = describe_first(session)
        with pytest.raises(ModelRuntimeError) as caught:
            session.run({**feed_for(session), name: np.zeros((1, 1), dtype)})
        assert str(caught.value) == (
            f"the feed for input {name!r} does not fit.\nneeds {shape} {dtype}; found: (1, 1) {dtype}"
        )

    def test_a_name_the_graph_does_not_have_is_refused(self, session: Session) -> None:
        feeds = feed_for(session)
        known = ", ".join(sorted(feeds))
        with pytest.raises(ModelRuntimeError) as caught:
            session.run({**feeds, "of another graph": np.zeros(1, np.float32)})
        given = ", ".join([*feeds, "of another graph"])
        assert str(caught.value) == f"the graph has no input 'of another graph'.\nneeds {known}; found: {given}"

    def test_a_failed_run_leaves_the_session_usable(self, session: Session) -> None:
        before = session.run(feed_for(session))
        for feeds in ({}, {session.inputs[0].name: np.zeros((0, 1), np.int8)}):
            with pytest.raises(ModelRuntimeError):
                session.run(feeds)
        for name, array in session.run(feed_for(session)).items():
            np.testing.assert_array_equal(array, before[name])

    def test_batches_of_different_lengths_may_follow_each_other(self, session: Session) -> None:
        alone = session.run(varied_feed_for(session, batch=1))
        for batch in (3, 1, 2, 1):
            result = session.run(varied_feed_for(session, batch=batch))
            for name, array in alone.items():
                assert len(result[name]) == batch
                # A runtime may sum in another order for another batch: float32, 1e-5 relative.
                np.testing.assert_allclose(result[name][:1], array, rtol=1e-5, atol=1e-5)

    def test_it_says_which_execution_providers_run_the_graph(self, session: Session) -> None:
        assert isinstance(session.execution_providers, tuple)
        assert all(isinstance(name, str) and name for name in session.execution_providers)

    def test_it_says_where_it_runs(self, session: Session) -> None:
        assert session.running_on == "cpu"

    def test_after_close_a_run_is_refused_and_closing_again_does_nothing(self, session: Session) -> None:
        session.close()
        session.close()
        with pytest.raises(ModelRuntimeError, match=r"^the model was closed; load it again to use it.$"):
            session.run({})
