"""Base classes of models that turn images, or images and texts, into vectors."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Literal

from inference_models.arrays import is_torch, namespace, to_torch
from inference_models.errors import InvalidParameterError
from inference_models.tasks import Task
from inference_models.tasks.stages import LoadedModel, ModelLifecycle, PreprocessedInputs

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.tasks.stages import Images

Kind = Literal["image", "text"]


class TextImageEmbeddingModel(LoadedModel):
    """A model that puts images and texts into the same space. It is not callable: say which one you mean."""

    @abstractmethod
    def embed_images(self, images: Images, **kwargs: Any) -> Array:
        """(n, D) float, one row per image."""

    @abstractmethod
    def embed_text(self, texts: str | list[str], **kwargs: Any) -> Array:
        """(n, D) float, one row per text."""

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


TASK = Task(name="embedding", model=TextImageEmbeddingModel, has_classes=False)
