"""What of a network of Transformers is run: the whole of it, or one of the parts that a task calls by themselves.

A part has the name of its role in the family. Vectors are those of `get_image_features` and `get_text_features`
(transformers 5.24), which are not scaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_models.arrays import ANY_SHAPE, TensorSpec, is_torch
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array

_MATCHERS = frozenset({"lightglue", "superglue"})
HEADS = (
    "logits",
    "pred_boxes",
    "pred_masks",
    "class_queries_logits",
    "masks_queries_logits",
    "predicted_depth",
    "field_of_view",
    "heatmaps",
    "pooler_output",
)
"""Of the answer of a whole network, those that are handed on, in their order."""


class Part(Record, frozen=True):
    """One part of a network."""

    inputs: tuple[TensorSpec, ...]
    """The first takes the images, if the part takes any."""
    call: Callable[..., dict[str, Array]]
    """Takes a tensor for each input, and answers by name."""


def find_part(network: Any, role: str | None) -> Part:
    """The part of `network` that has a role; None: all of it, on images."""
    return _PARTS[role](network) if role else _whole(network)


def _whole(network: Any) -> Part:
    """Frames of a video are one clip, of the length that the network was trained with.

    Of several experts for data sets (ViTPose++) the first one answers, that of COCO.
    """
    if network.config.model_type in _MATCHERS:
        return _matcher(network)
    name = network.main_input_name
    is_clip = name == "pixel_values_videos"
    experts = getattr(getattr(network.config, "backbone_config", None), "num_experts", 1)

    def call(images: Array) -> dict[str, Array]:
        further = {} if experts < 2 else {"dataset_index": images.new_zeros(len(images)).long()}
        answer = network(**{name: images[None] if is_clip else images}, **further, return_dict=True)
        return {head: answer[head] for head in HEADS if answer.get(head) is not None}

    if not is_clip:
        return Part((_images(name),), call)
    side = network.config.crop_size
    return Part((TensorSpec(name, (network.config.frames_per_clip, 3, side, side), "float32"),), call)


def _matcher(network: Any) -> Part:
    """Two pictures are one pair."""

    def call(images: Array) -> dict[str, Array]:
        answer = network(pixel_values=images[None], return_dict=True)
        return {name: answer[name] for name in ("keypoints", "matches", "matching_scores", "mask")}

    return Part((TensorSpec("pixel_values", (2, 3, None, None), "float32"),), call)


def _visual(network: Any) -> Part:
    def call(images: Array) -> dict[str, Array]:
        return {"image_embeds": _pooled(network.get_image_features(pixel_values=images))}

    return Part((_images("pixel_values"),), call)


def _textual(network: Any) -> Part:
    """Besides the vectors, what makes scores of their cosines: a factor, and what is added."""
    factor, added = network.logit_scale.exp(), getattr(network, "logit_bias", None)
    length = network.config.text_config.max_position_embeddings

    def call(tokens: Array, mask: Array) -> dict[str, Array]:
        vectors = _pooled(network.get_text_features(input_ids=tokens, attention_mask=mask))
        return {"text_embeds": vectors, "logit_scale": factor} | ({} if added is None else {"logit_bias": added})

    return Part(tuple(TensorSpec(name, (None, length), "int64") for name in ("input_ids", "attention_mask")), call)


def _encoder(network: Any) -> Part:
    def call(images: Array) -> dict[str, Array]:
        return {"last_hidden_state": network.encoder(pixel_values=images).last_hidden_state}

    return Part((_images("pixel_values"),), call)


def _decoder(network: Any) -> Part:
    changed = getattr(network, "enc_to_dec_proj", None)  # where the widths of both differ

    def call(tokens: Array, hidden: Array) -> dict[str, Array]:
        hidden = hidden if changed is None else changed(hidden)
        answer = network.decoder(input_ids=tokens, encoder_hidden_states=hidden, use_cache=False)
        return {"logits": answer.logits}

    inputs = TensorSpec("input_ids", (None, None), "int64"), TensorSpec("encoder_hidden_states", ANY_SHAPE, "any")
    return Part(inputs, call)


_PARTS: dict[str, Callable[[Any], Part]] = {
    "visual": _visual,
    "textual": _textual,
    "encoder": _encoder,
    "decoder": _decoder,
}


def _images(name: str) -> TensorSpec:
    return TensorSpec(name, ANY_SHAPE, "any")


def _pooled(answer: Any) -> Array:
    """The vectors themselves, or where newer releases put them."""
    return answer if is_torch(answer) else answer.pooler_output
