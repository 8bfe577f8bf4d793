"""What a loaded model answers to images, stage by stage where it has stages."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import field

from inference_models.arrays import to_numpy
from inference_models.parity.compare import predictions_in
from inference_models.parity.raw import RawTally
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.masks import InstancesRLEMasks
from inference_models.record import Record
from inference_models.tasks.embedding import TextImageEmbeddingModel
from inference_models.tasks.feature_matching import FeatureMatchingModel
from inference_models.tasks.graph_runner import OneGraph
from inference_models.tasks.multi_label_classification import MultiLabelClassificationModel
from inference_models.tasks.stages import StagedModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.parity.images import Image
    from inference_models.predictions.container import Prediction

THRESHOLD = 0.2
"""Below the least score of what is compared, so that an object near it is seen from both sides."""
TEXTS = ["a photo of a cat", "two people cross a street, 1998", "l'été à Zürich"]
"""What models of texts are asked besides images."""
KEPT_BYTES = 256 << 20
"""Of network inputs and outputs that are held for the comparison of raw outputs; one image is always held."""


class Answer(Record, frozen=True):
    """The answer of a model to one image."""

    predictions: tuple[Prediction, ...]
    inputs: NumpyArray | None = None
    """Network input; None: the model is not one graph, or takes several."""
    outputs: dict[str, NumpyArray] = field(default_factory=dict)
    """Raw outputs by name."""


@dataclasses.dataclass
class ReferenceAnswers:
    """What the others are compared with; masks are held as run lengths."""

    predictions: list[Prediction] = dataclasses.field(default_factory=list)
    kept: list[Answer] = dataclasses.field(default_factory=list)
    """Of the first images, with network inputs and outputs."""
    raw: RawTally = dataclasses.field(default_factory=RawTally)
    room: int = KEPT_BYTES

    def add(self, answer: Answer) -> None:
        """Add an answer; keeps what the comparison needs."""
        self.predictions += map(_compact, answer.predictions)
        self.raw.check(answer.outputs)
        if answer.inputs is None:
            return
        size = answer.inputs.nbytes + sum(array.nbytes for array in answer.outputs.values())
        if not self.kept or size <= self.room:
            self.kept.append(dataclasses.replace(answer, predictions=()))
        # Once one did not fit, none of the later ones is held: they are the first images, without gaps.
        self.room = self.room - size if size <= self.room else 0


def ask_reference(model: Any, images: Sequence[Image]) -> ReferenceAnswers:
    """The answers of the reference model."""
    answers = ReferenceAnswers()
    for image in images:
        answers.add(ask(model, image))
    return answers


def ask_other(model: Any, images: Sequence[Image], reference: ReferenceAnswers) -> tuple[list[Prediction], RawTally]:
    """The answers of a model, and the deviation of its raw outputs from the reference for the same network inputs."""
    predictions: list[Prediction] = []
    tally = RawTally()
    for number, image in enumerate(images):
        answer = ask(model, image)
        predictions += map(_compact, answer.predictions)
        tally.check(answer.outputs)
        if number < len(reference.kept):
            _compare_network(model, answer, reference.kept[number], tally)
    return predictions, tally


def ask(model: Any, image: Image) -> Answer:
    """The answer of a model to one image."""
    options = low_threshold(model)
    if not isinstance(model, OneGraph):
        return Answer(tuple(predictions_in(call_of(model)(image, **options))))
    if isinstance(model, StagedModel):
        inputs, meta = model.pre_process(image, **options)
        raw = model.forward(inputs, **options)
        found = model.post_process(raw, meta, **options)
    else:
        stages: Any = model
        inputs = stages.pre_process(image, **options)
        raw = stages.forward(inputs, **options)
        found = stages.post_process(raw, **options)
    batches = inputs if isinstance(inputs, list) else [inputs]
    return Answer(tuple(predictions_in(found)), to_numpy(batches[0]), _named(model, raw) | _of_texts(model))


def call_of(model: Any) -> Any:
    """What answers to images: the model itself, or of one that is not called, since it takes texts too, its method.

    A model that takes two is asked for an image and the same one upside down.
    """
    if isinstance(model, FeatureMatchingModel):
        return lambda image, **options: model.match(image, image[::-1], **options)
    return model if callable(model) else model.embed_images


def _of_texts(model: Any) -> dict[str, NumpyArray]:
    return {"texts": to_numpy(model.embed_text(TEXTS))} if isinstance(model, TextImageEmbeddingModel) else {}


def _compare_network(model: Any, answer: Answer, reference: Answer, tally: RawTally) -> None:
    if answer.inputs is None or reference.inputs is None:
        return
    feed = _fitted(reference.inputs, answer.inputs)
    if feed is None:
        tally.note = f"the network takes {answer.inputs.shape}, that of the reference {reference.inputs.shape}"
        return
    same = np.array_equal(feed, answer.inputs)
    tally.compare(reference.outputs, answer.outputs if same else answer.outputs | _named(model, model.forward(feed)))


def _fitted(inputs: NumpyArray, like: NumpyArray) -> NumpyArray | None:
    """`inputs` in the number format and the order of axes of `like`; None where they are of another size."""
    for axes in ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)):
        if inputs.ndim == 4 and inputs.transpose(axes).shape == like.shape:
            return np.ascontiguousarray(inputs.transpose(axes), dtype=like.dtype)
    return inputs.astype(like.dtype) if inputs.shape == like.shape else None


def _named(model: OneGraph, raw: Any) -> dict[str, NumpyArray]:
    return dict(zip(model.output_names, map(to_numpy, raw[0].outputs), strict=True))


def low_threshold(model: Any) -> dict[str, float]:
    """Keywords that make a call give also objects below the least score of what is compared, where it takes one."""
    if isinstance(model, MultiLabelClassificationModel):
        return {}
    names = getattr(getattr(model, "OPTIONS", None), "__annotations__", None)
    if names is None:
        names = {name for method in ("__call__", "infer", "post_process") for name in _parameters(model, method)}
    return {"confidence": THRESHOLD} if "confidence" in names else {}


def _parameters(model: Any, method: str) -> Iterable[str]:
    try:
        return inspect.signature(getattr(model, method)).parameters
    except (AttributeError, TypeError, ValueError):  # there is none, or it does not say
        return ()


def _compact(prediction: Prediction) -> Prediction:
    """The prediction on the host, with masks as run lengths: a hundred images with dense ones fill the memory."""
    host = prediction.numpy()
    if isinstance(host, InstanceDetections) and isinstance(host.mask, np.ndarray):
        return dataclasses.replace(host, mask=InstancesRLEMasks.from_dense(host.mask))
    return host
