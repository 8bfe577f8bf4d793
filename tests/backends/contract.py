"""What every session promises; a backend's test inherits it and gives one fixture."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

import forked
from inference_models.arrays import to_numpy
from inference_models.errors import ModelRuntimeError

if TYPE_CHECKING:
    from pathlib import Path

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


class SessionContract:
    """Subclasses give `session`: a fresh session whose inputs have an open batch dimension."""

    def test_inputs_and_outputs_have_names_shapes_and_numpy_dtypes(self, session: Session) -> None:
        for spec in (*session.inputs, *session.outputs):
            assert spec.name
            assert np.dtype(spec.dtype).name == spec.dtype
            assert all(side is None or side > 0 for side in spec.shape)

    def test_a_run_gives_every_output_as_declared_with_the_batch_of_the_feed(self, session: Session) -> None:
        result = session.run(feed_for(session, batch=3))
        assert list(result) == [spec.name for spec in session.outputs]
        for spec, array in zip(session.outputs, result.values(), strict=True):
            assert (array.shape[0], array.ndim) == (3, len(spec.shape))
            assert to_numpy(array).dtype == spec.dtype

    def test_the_same_feed_gives_the_same_answer(self, session: Session) -> None:
        first, second = session.run(feed_for(session)), session.run(feed_for(session))
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])

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

    def test_feeds_that_do_not_fit_are_refused_and_the_next_run_answers_as_before(self, session: Session) -> None:
        before = session.run(feed_for(session))
        name, other = session.inputs[0].name, np.zeros(1, np.float32)
        wrong = [
            {},
            {name: other},
            {name: feed_for(session)[name].astype(np.float64)},
            {**feed_for(session), "?": other},
        ]
        for feeds in wrong:
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

    def test_it_says_where_it_runs(self, session: Session) -> None:
        assert session.running_on == "cpu"
        assert isinstance(session.execution_providers, tuple)

    @forked.NEEDS_FORK
    @forked.QUIET
    def test_in_a_child_that_is_forked_during_a_run_it_answers_as_before_or_refuses_at_once(
        self, session: Session
    ) -> None:
        feeds = varied_feed_for(session)
        expected = {name: to_numpy(array) for name, array in session.run(feeds).items()}

        def answers() -> bool:
            try:
                found = session.run(feeds)
            except ModelRuntimeError as exc:
                return exc.fix is not None and "'spawn'" in exc.fix
            # A runtime may sum in another order with another number of threads: float32, 1e-5 relative.
            return all(np.allclose(to_numpy(found[name]), expected[name], rtol=1e-5, atol=1e-5) for name in expected)

        with forked.busy(lambda: session.run(feeds)):
            assert [forked.child_says(answers) for _ in range(5)] == [True] * 5

    def test_after_close_a_run_is_refused_and_closing_again_does_nothing(self, session: Session) -> None:
        session.close()
        session.close()
        with pytest.raises(ModelRuntimeError, match=r"^the model was closed; load it again to use it.$"):
            session.run({})


def check_nothing_is_sent_or_left(tmp_path: Path, code: str) -> None:
    """Run `code` in a process of its own that may open no connection, and look into its home folder afterwards."""
    home = tmp_path / "home"
    home.mkdir()
    # In a pipeline of continuous integration, telemetry is off by itself, and the test would prove nothing.
    unset = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    subprocess.run([sys.executable, "-c", _NO_NETWORK + code], check=True, env=environment, timeout=120)
    assert list(home.rglob("*")) == []


_NO_NETWORK = """
import sys
def refuse(event, arguments):
    # Asking the system's own name service for the user's home folder is no network.
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}:
        raise SystemExit(f"opened a socket: {event} {arguments}")
sys.addaudithook(refuse)
from pathlib import Path
from inference_models.backends.session import SessionRequest
"""
