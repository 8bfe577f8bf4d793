"""What every session promises; a backend's test inherits it and gives one fixture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.errors import ModelRuntimeError

if TYPE_CHECKING:
    from inference_models.backends.session import Session


def feed_for(session: Session, *, batch: int = 2, value: float = 0.5) -> dict[str, np.ndarray]:
    feeds = {}
    for spec in session.inputs:
        shape = tuple(batch if side is None else side for side in spec.shape)
        feeds[spec.name] = np.full(shape, value, spec.dtype)
    return feeds


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
            assert result[spec.name].dtype == spec.dtype

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

    def test_it_says_where_it_runs(self, session: Session) -> None:
        assert session.running_on == "cpu"

    def test_after_close_a_run_is_refused_and_closing_again_does_nothing(self, session: Session) -> None:
        session.close()
        session.close()
        with pytest.raises(ModelRuntimeError, match=r"^the model was closed; load it again to use it.$"):
            session.run({})
