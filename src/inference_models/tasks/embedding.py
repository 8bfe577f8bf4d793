"""Vectors of images, or of images and texts: the base classes, and the models of our own graphs."""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from typing import TYPE_CHECKING, Any, Generic, Literal

from inference_models.arrays import ANY_SHAPE, is_torch, namespace, to_torch
from inference_models.backends.session import BatchLimits
from inference_models.config import MAX_BATCH
from inference_models.errors import (
    CorruptedModelPackageError,
    InvalidParameterError,
    ModelImplementationNotFoundError,
    ModelInputError,
    nearest_hint,
)
from inference_models.families import EmbeddingGraph
from inference_models.tasks import Task
from inference_models.tasks.graph_options import ImageOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs, RowPerImage
from inference_models.tasks.stages import LoadedModel, ModelLifecycle, PlainStagedModel, PreprocessedInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference_models.arrays import Array, TensorSpec
    from inference_models.backends.session import Session
    from inference_models.decoders.types import Outputs, Shapes
    from inference_models.package.text_tokens import TextTokens
    from inference_models.predictions.classification import ClassificationPrediction
    from inference_models.tasks.stages import Images

Kind = Literal["image", "text"]
TEMPLATE = "This is a photo of {}."
"""That of the pipeline of transformers for this."""


class TextImageEmbeddingModel(LoadedModel):
    """A model that puts images and texts into the same space. It is not callable: say which one you mean."""

    @abstractmethod
    def embed_images(self, images: Images, **kwargs: Any) -> Array:
        """(n, D) float, one row per image."""

    @abstractmethod
    def embed_text(self, texts: str | list[str], **kwargs: Any) -> Array:
        """(n, D) float, one row per text."""

    def classify(
        self, images: Images, class_names: Sequence[str], *, template: str = TEMPLATE, **kwargs: Any
    ) -> ClassificationPrediction:
        """Which of `class_names` each image shows; none of them has to be known before.

        Args:
            images: one image, or several.
            class_names: at least one.
            template: the text that is embedded for a name, which stands in the place of `{}`.
            **kwargs: options of `embed_images`.

        Raises:
            InvalidParameterError: the template has no place for a name.
            ModelImplementationNotFoundError: nothing says how scores are made of the vectors of this model.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how scores are made of its vectors")

    def compare_embeddings(self, x: Any, y: Any, x_type: Kind = "image", y_type: Kind = "text", **kwargs: Any) -> Array:
        """(nx, ny) cosine of the angle between every row of `x` and every row of `y`.

        Args:
            x: images or texts, as `x_type` says.
            y: images or texts, as `y_type` says.
            x_type: `"image"` or `"text"`.
            y_type: `"image"` or `"text"`.
            **kwargs: options of `embed_images` and `embed_text`.

        Raises:
            InvalidParameterError: a type is something else.
        """
        _check_kind("x_type", x_type)
        _check_kind("y_type", y_type)
        return cosine_matrix(self._embed(x, x_type, **kwargs), self._embed(y, y_type, **kwargs))

    def _embed(self, value: Any, kind: Kind, **kwargs: Any) -> Array:
        return self.embed_text(value, **kwargs) if kind == "text" else self.embed_images(value, **kwargs)


class ImageEmbeddingModel(ModelLifecycle, Generic[PreprocessedInputs]):
    """What a model has that can also give the vector of an image from inside its network.

    It is made to be inherited beside another base, such as `ClassificationModel`, whose `pre_process` it uses. A model
    that has other names for this overrides `embed_images` and nothing else.
    """

    def embed_images(self, images: Images, output_type: str | None = None, **kwargs: Any) -> Array:
        """(B, D) float, one row per image; `output_type` is one the model names in `get_embedding_info`."""
        model: Any = self
        return self.forward_embedding(model.pre_process(images, **kwargs), output_type=output_type)

    def prepare_image_embeddings(self, output_type: str | None = None) -> object:
        """Make ready for vectors of this type; here nothing has to be."""

    def forward_embedding(self, pre_processed_images: PreprocessedInputs, output_type: str | None = None) -> Array:
        """(B, D) float, one row per image of what the network takes."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it embeds images")

    def get_embedding_info(self, output_type: str | None = None) -> Any:
        """What one kind of vector is: where in the network it comes from, and its length."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its embeddings are")

    @property
    def embedding_info(self) -> Any:
        """What the vector is that `embed_images` gives when nothing else is asked for."""
        return self.get_embedding_info()


def cosine_matrix(x: Array, y: Array) -> Array:
    """(nx, ny) cosine of the angle between every row of (nx, D) and of (ny, D); a vector of zeros gives 0.

    Both may be NumPy arrays or torch tensors; where they differ in kind the result is torch, on the device of the
    tensor.
    """
    if is_torch(x) != is_torch(y):
        device = str((x if is_torch(x) else y).device)
        x, y = to_torch(x, device), to_torch(y, device)
    return _unit_rows(x) @ _unit_rows(y).T


def _unit_rows(vectors: Array) -> Array:
    xp = namespace(vectors)
    if not xp.isdtype(vectors.dtype, "real floating"):
        vectors = xp.astype(vectors, xp.float32)
    # Scaled by the largest entry first: squares of half-precision numbers would overflow.
    largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)
    scaled = vectors / xp.where(largest > 0, largest, xp.ones_like(largest))
    length = xp.linalg.vector_norm(scaled, axis=-1, keepdims=True)
    return scaled / xp.where(length > 0, length, xp.ones_like(length))


def _check_kind(name: str, value: str) -> None:
    if value not in ("image", "text"):
        raise InvalidParameterError(f"{name} cannot be {value!r}.", needs="'image' or 'text'", found=repr(value))


def describe_vectors(output_type: str | None, known: Sequence[str], normalization: str) -> dict[str, str]:
    """What vectors of one of the `known` types are, the first where none is named.

    Raises:
        InvalidParameterError: there is no such type.
    """
    wanted = output_type or known[0]
    if wanted not in known:
        raise InvalidParameterError(
            f"output_type cannot be {output_type!r}; {nearest_hint(wanted, known)}.",
            needs=" or ".join(map(repr, known)),
            found=repr(output_type),
        )
    return {"output_type": wanted, "normalization": normalization}


class VectorOfImage(RowPerImage):
    """A graph that makes a vector of an image."""

    OPTIONS = ImageOptions

    def __init__(self, package: OpenedPackage, family: EmbeddingGraph) -> None:
        super().__init__(package, lambda _: None)
        self._family = family
        check_vectors(package.session, class_token=family.class_token)

    def embed_images(self, images: object, **kwargs: Any) -> Array:
        """(n, D) float, one row per image, in the order of the images; raises what `infer` raises."""
        return self.infer(images, **kwargs)

    def _rows(self, part: RawOutputs) -> Array:
        return _vectors_in(part.outputs, self.output_names, class_token=self._family.class_token)

    def _reader(self, options: dict[str, Any]) -> Callable[[Array], Array]:
        self._check(options)
        return _unit_rows if self._family.unit_length else lambda rows: rows


class GraphImageEmbedder(
    VectorOfImage, ImageEmbeddingModel[NetworkInputs], PlainStagedModel[NetworkInputs, "list[RawOutputs]", "Array"]
):
    """An embedder of images whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `ImageOptions` by name.
    """

    def embed_images(self, images: object, output_type: str | None = None, **kwargs: Any) -> Array:
        """(n, D) float, one row per image, in the order of the images; `output_type` is `"feature_vector"`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        self.get_embedding_info(output_type)
        return super().embed_images(images, **kwargs)

    def forward_embedding(self, pre_processed_images: NetworkInputs, output_type: str | None = None) -> Array:
        """(n, D) float, one row per image of what the network takes."""
        self.get_embedding_info(output_type)
        return self.post_process(self.forward(pre_processed_images))

    def get_embedding_info(self, output_type: str | None = None) -> dict[str, str]:
        """The type of the vectors, and how they are scaled: to length 1 (`l2`), or not at all (`none`)."""
        return describe_vectors(output_type, ("feature_vector",), "l2" if self._family.unit_length else "none")

    def compare_embeddings(self, x: object, y: object, **kwargs: Any) -> Array:
        """(nx, ny) cosine of the angle between the vectors of the images `x` and of the images `y`."""
        return cosine_matrix(self.embed_images(x, **kwargs), self.embed_images(y, **kwargs))


class GraphTextImageEmbedder(VectorOfImage, TextImageEmbeddingModel):
    """A graph of images and one of texts, whose vectors share a space, on any backend. Safe to call from many threads.

    Methods that take images take the options of `ImageOptions` by name.
    """

    def __init__(self, package: OpenedPackage, family: EmbeddingGraph, tokens: TextTokens) -> None:
        super().__init__(package, family)
        self._texts = VectorOfText(package.sessions["textual"], tokens)
        widths = [check_vectors(session) for session in package.sessions.values()]
        if None not in widths and len(set(widths)) > 1:
            raise CorruptedModelPackageError(
                f"the graphs of {package.label} are not of one model.",
                needs="vectors of one length",
                found=" and ".join(
                    f"{width} of its {role}" for role, width in zip(package.sessions, widths, strict=True)
                ),
            )

    def embed_text(self, texts: str | list[str], **kwargs: Any) -> Array:
        """(n, D) float, one row per text, in the order of the texts.

        Raises:
            ModelInputError: a text is too long, or is none; the text names it.
            InvalidParameterError: an option is unknown.
            ModelRuntimeError: the runtime failed.
        """
        read = self._reader(kwargs)
        return read(self._joined(self._texts.vectors([texts] if isinstance(texts, str) else texts)[0]))

    def classify(
        self, images: Images, class_names: Sequence[str], *, template: str = TEMPLATE, **kwargs: Any
    ) -> ClassificationPrediction:
        """Which of `class_names` each image shows: (n, C) scores, of all names together or of each alone.

        CLIP was trained to choose between texts, so its scores sum to 1; SigLIP to say whether one text fits.

        Args:
            images: one image, or several.
            class_names: at least one.
            template: the text that is embedded for a name, which stands in the place of `{}`.
            **kwargs: options of `embed_images`.

        Raises:
            ModelInputError: an image or a name cannot be used.
            InvalidParameterError: the template has no place for a name, or an option is unknown.
            ModelImplementationNotFoundError: nothing says how scores are made of the vectors of this model.
            ModelRuntimeError: the runtime failed.
        """
        from inference_models.predictions.classification import ClassificationPrediction  # noqa: PLC0415

        if "{}" not in template:
            raise InvalidParameterError("the template has no place for a name.", needs="{} in it", found=repr(template))
        if isinstance(class_names, str):
            class_names = [class_names]
        texts = [template.replace("{}", name) if isinstance(name, str) else name for name in class_names]
        vectors, scoring = self._texts.vectors(texts)
        scores = self._scores(cosine_matrix(self.embed_images(images, **kwargs), self._joined(vectors)), scoring)
        best = namespace(scores).argmax(scores, axis=-1)
        found = ClassificationPrediction(best, scores, class_names=list(class_names))
        return found if self._arrays is None else found.torch() if self._arrays == "torch" else found.numpy()

    def _scores(self, cosines: Array, scoring: Mapping[str, Array]) -> Array:
        from inference_models.decoders.candidates import sigmoid  # noqa: PLC0415 - brings NumPy, as the next
        from inference_models.decoders.classes import softmax  # noqa: PLC0415

        factor = float(scoring["logit_scale"]) if "logit_scale" in scoring else self._family.logit_scale
        if factor is None:
            names = [spec.name for session in self._package.sessions.values() for spec in session.outputs]
            raise ModelImplementationNotFoundError(
                f"{self._label} gives vectors, and nothing in its package says how scores are made of them.",
                needs="logit_scale and logit_bias, which the weights of the network hold",
                found=f"graphs with the outputs {', '.join(names)}",
                fix="load the package of weights: backend='hugging-face'",
            )
        logits = cosines * factor + (float(scoring["logit_bias"]) if "logit_bias" in scoring else 0.0)
        return sigmoid(logits) if self._family.activation == "sigmoid" else softmax(logits)


class VectorOfText:
    """A graph that makes a vector of a text."""

    def __init__(self, session: Session, tokens: TextTokens) -> None:
        self._session = session
        self._tokens = tokens
        self._takes = session.inputs[:2]
        unknown = self._takes[0].shape == ANY_SHAPE
        self._limits = BatchLimits(largest=MAX_BATCH) if unknown else BatchLimits.of(session, largest_dynamic=MAX_BATCH)
        self._length = tokens.length if unknown else self._takes[0].shape[-1] or tokens.length
        if len(session.inputs) > len(self._takes) or not (unknown or all(map(_takes_tokens, self._takes))):
            raise CorruptedModelPackageError(
                "the graph is not one that takes texts.",
                needs="tokens (batch, length) as whole numbers, and at most a mask of the same kind",
                found=", ".join(map(str, session.inputs)),
            )

    def vectors(self, texts: Sequence[str]) -> tuple[list[Array], dict[str, Array]]:
        """(n, D) float, one row per text, in parts; and the single numbers that the graph gives besides, by name."""
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        if not isinstance(texts, list | tuple) or not texts:
            found = f"an empty {type(texts).__name__}" if isinstance(texts, list | tuple) else type(texts).__name__
            raise ModelInputError("there is no text to embed.", needs="a text, or a list of at least one", found=found)
        both = zip(self._takes, self._tokens.rows(texts, self._length), strict=False)
        feeds = {spec.name: feed if spec.dtype == "any" else feed.astype(spec.dtype) for spec, feed in both}
        parts, size = [], self._limits.largest or MAX_BATCH
        for start in range(0, len(texts), size):
            rows = np.arange(start, start + max(self._limits.smallest, min(size, len(texts) - start)))
            rows = np.minimum(rows, len(texts) - 1)  # what is too many, the last one fills
            outputs = self._session.run({name: feed[rows] for name, feed in feeds.items()})
            parts.append(_vectors_in(list(outputs.values()), list(outputs))[: len(texts) - start])
        return parts, {name: output for name, output in outputs.items() if prod(output.shape) == 1}


def _takes_tokens(spec: TensorSpec) -> bool:
    return len(spec.shape) == 2 and spec.dtype in {"int32", "int64"}


def check_vectors(session: Session, *, class_token: bool = False) -> int | None:
    """The length of the vectors that a graph gives; None: the graph does not say.

    Raises:
        CorruptedModelPackageError: none of its outputs is one row of numbers per image.
    """
    if not session.outputs:
        return None
    shapes = [spec.shape for spec in session.outputs]
    names = [spec.name for spec in session.outputs]
    return shapes[_place(shapes, names, class_token=class_token)][-1]


def _vectors_in(outputs: Outputs, names: Sequence[str], *, class_token: bool = False) -> Array:
    found = outputs[_place([tuple(output.shape) for output in outputs], names, class_token=class_token)]
    return found[:, 0] if len(found.shape) == 3 else found


def _place(shapes: Shapes, names: Sequence[str], *, class_token: bool) -> int:
    """Of the output (B, D); of several, which transformers writes, the last stage: embeddings, then the pooled.

    With a class token, also of the only output where that is (B, T, D).
    """
    if class_token and len(shapes) == 1 and len(shapes[0]) == 3:
        return 0
    found = [place for place, shape in enumerate(shapes) if len(shape) == 2]
    for word in ("embed", "pool", ""):
        named = [place for place in found if word in names[place].lower()]
        if len(named) == 1:
            return named[0]
    raise CorruptedModelPackageError(
        "the graph does not give one vector for each input.",
        needs="one output (B, D), or one with 'embed' or 'pool' in its name",
        found=", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True)) or "no output",
        fix="export the network with the layer that pools",
    )


def bind(package: OpenedPackage, family: EmbeddingGraph) -> VectorOfImage:
    """The model of an opened package: of images, or of images and texts where the family has tokens."""
    if family.tokens is None:
        return GraphImageEmbedder(package, family)
    return GraphTextImageEmbedder(package, family, family.tokens(package.files))


TASK = Task(name="embedding", model=TextImageEmbeddingModel, graph=EmbeddingGraph, bind=bind, has_classes=False)
