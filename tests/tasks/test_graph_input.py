from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import pytest

from inference_models.arrays import TensorSpec
from inference_models.backends.session import InputHint
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import Graph
from inference_models.package.graph_facts import InputHints
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode
from inference_models.tasks.graph_input import (
    fit_spec,
    hint_of_input,
)

SPEC = PreprocessSpec(size=None, resize=ResizeMode.LETTERBOX)
FAMILY = Graph(preprocess=SPEC)


@dataclass
class OpenedGraph:
    """Only the inputs of a session matter here."""

    inputs: tuple[TensorSpec, ...]


def graph(*shapes: tuple[int | None, ...]) -> OpenedGraph:
    return OpenedGraph(tuple(TensorSpec(f"in{index}", shape, "float32") for index, shape in enumerate(shapes)))


@pytest.mark.parametrize(
    ("shape", "hints", "size", "dynamic"),
    [
        ((1, 3, 96, 64), InputHints((640, 640), 32), (96, 64), None),
        ((1, 3, None, None), InputHints((640, 480), 64), (640, 480), DynamicSize(64)),
        ((1, 3, None, None), InputHints(), None, DynamicSize(32)),
    ],
)
def test_a_bare_graph_is_run_at_its_own_size_then_at_the_exported_one(
    shape: tuple[int | None, ...], hints: InputHints, size: object, dynamic: object
) -> None:
    fitted = fit_spec(FAMILY, graph(shape), None, hints)
    assert (fitted.size, fitted.dynamic) == (size, dynamic)


def test_the_size_of_a_family_gives_way_to_the_graph() -> None:
    spec = PreprocessSpec(size=(224, 224))
    assert fit_spec(Graph(preprocess=spec), graph((1, 3, 320, 320)), None, InputHints()).size == (320, 320)
    assert fit_spec(Graph(preprocess=spec), graph((1, 3, None, None)), None, InputHints()).size == (224, 224)


@pytest.mark.parametrize("instead", [ResizeMode.LETTERBOX, ResizeMode.STRETCH])
def test_a_mode_that_changes_the_network_size_is_replaced_and_said(
    instead: ResizeMode, caplog: pytest.LogCaptureFixture
) -> None:
    spec = PreprocessSpec(size=(64, 64), resize=ResizeMode.FIT_LONGER_EDGE)
    with caplog.at_level(logging.WARNING, logger="inference-models"):
        fitted = fit_spec(
            Graph(preprocess=spec, instead_of_fit_longer_edge=instead), graph((1, 3, 64, 64)), spec, InputHints()
        )
    assert (fitted.resize, fitted.pad_value) == (instead, 127)
    assert caplog.text.endswith(
        "resize mode 'fit-longer-edge' gives every image another network size, "
        f"which this architecture does not take; {instead.value!r} is used.\n"
    )


@pytest.mark.parametrize(("shapes", "found"), [((), "no input"), (((1, 3, 8, 8), (1, 4)), "in0, in1")])
def test_a_graph_that_takes_something_else_is_refused(shapes: tuple[tuple[int, ...], ...], found: str) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        fit_spec(FAMILY, graph(*shapes), SPEC, InputHints())
    assert str(caught.value) == (
        f"the inputs of the graph are not those of its architecture.\nneeds one input of images; found: {found}"
    )


@pytest.mark.parametrize(
    ("shape", "layout", "needs"),
    [
        ((1, 1, 32, 32), "nchw", "(batch, 3, height, width)"),
        ((1, 32, 32, 3), "nchw", "(batch, 3, height, width)"),
        ((1, 3, 32, 32), "nhwc", "(batch, height, width, 3)"),
        ((1, 3, 32), "nchw", "(batch, 3, height, width)"),
    ],
)
def test_other_channels_are_refused_at_load(shape: tuple[int, ...], layout: str, needs: str) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        fit_spec(FAMILY, graph(shape), PreprocessSpec(size=None, layout=layout), InputHints())
    assert str(caught.value) == (
        f"input 'in0' does not take images with 3 channels.\nneeds {needs}; found: {shape}\n"
        'if the channels come last, say "layout": "nhwc" in network_input of inference_config.json'
    )


@pytest.mark.parametrize(
    ("shape", "layout", "channels", "size"),
    [
        ((1, 1, 32, 64), "nchw", 1, (32, 64)),
        ((1, 32, 64, 3), "nhwc", 3, (32, 64)),
        ((1, 32, 64, 1), "nhwc", 1, (32, 64)),
        ((None, None, None, 3), "nhwc", 3, None),
        ((None, None, None, None), "nchw", 3, None),
    ],
)
def test_the_input_of_a_bare_graph_tells_place_and_number_of_its_channels(
    shape: tuple[int | None, ...], layout: str, channels: int, size: object
) -> None:
    fitted = fit_spec(FAMILY, graph(shape), None, InputHints())
    assert (fitted.layout, fitted.channels, fitted.size) == (layout, channels, size)


def test_values_that_differ_by_channel_do_not_fit_one_channel() -> None:
    family = Graph(preprocess=replace(SPEC, mean=(0.1, 0.2, 0.3)))
    with pytest.raises(CorruptedModelPackageError, match="does not take images with 3 channels"):
        fit_spec(family, graph((1, 1, 32, 32)), None, InputHints())


def test_what_a_package_states_is_the_shape_of_its_input() -> None:
    spec = PreprocessSpec(size=(48, 64))
    assert hint_of_input(FAMILY, spec, InputHints(), None) == InputHint((None, 3, 48, 64), (3, 48, 64))
    assert hint_of_input(FAMILY, spec, InputHints(), 4) == InputHint((4, 3, 48, 64), (3, 48, 64))
    assert hint_of_input(FAMILY, replace(spec, layout="nhwc"), InputHints(), 1) == InputHint(
        (1, 48, 64, 3), (48, 64, 3)
    )


def test_a_size_among_others_fits_and_is_not_the_shape() -> None:
    dynamic = PreprocessSpec(size=(48, 64), dynamic=DynamicSize(32))
    assert hint_of_input(FAMILY, dynamic, InputHints(), None) == InputHint((None, 3, None, None), (3, 48, 64))
    assert hint_of_input(FAMILY, None, InputHints((96, 64))) == InputHint((None, 3, None, None), (3, 96, 64))


def test_without_a_size_there_is_nothing_to_try() -> None:
    assert hint_of_input(FAMILY, SPEC, InputHints(), 2) == InputHint((2, 3, None, None), None)
    assert hint_of_input(FAMILY, None, InputHints()) == InputHint((None, 3, None, None), None)
