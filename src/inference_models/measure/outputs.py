"""Raw outputs of one process, compared in another: where a model finds nothing, they are all there is to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.parity.answers import Answer, ReferenceAnswers, ask_other, ask_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.parity.raw import RawDeviation

_NAMES = "names"


def save_outputs(model: Any, images: Sequence[NumpyArray], path: str) -> int:
    """For how many images there are outputs; they and the network inputs are in the file `path` (.npz) then."""
    kept = [answer for answer in ask_reference(model, images).kept if answer.inputs is not None]
    if not kept:
        return 0
    arrays: dict[str, Any] = {_NAMES: np.array(list(kept[0].outputs), dtype=np.str_)}
    for number, answer in enumerate(kept):
        for place, array in enumerate((answer.inputs, *answer.outputs.values())):
            arrays[f"{number}-{place}"] = array
    np.savez(path, **arrays)
    return len(kept)


def compare_outputs(model: Any, images: Sequence[NumpyArray], path: str) -> RawDeviation:
    """How far the outputs of `model` are from those of `save_outputs`, for the same network inputs."""
    reference = ReferenceAnswers()
    with np.load(path, allow_pickle=False) as stored:
        names = [str(name) for name in stored[_NAMES]]
        count = sum(key.endswith("-0") for key in stored.files)
        for number in range(count):
            outputs = {name: stored[f"{number}-{place}"] for place, name in enumerate(names, 1)}
            reference.kept.append(Answer((), stored[f"{number}-0"], outputs))
    return ask_other(model, images[:count], reference)[1].deviation()
