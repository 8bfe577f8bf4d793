from __future__ import annotations

import numpy as np
import pytest

from inference_models.errors import InvalidParameterError
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.tasks.classification import ClassificationModel
from inference_models.tasks.embedding import ImageEmbeddingModel, TextImageEmbeddingModel, cosine_matrix
from optional import torch


class Letters(TextImageEmbeddingModel):
    """Texts by their vowels, images by their mean colour."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @classmethod
    def from_pretrained(cls, model_name_or_path: str, **kwargs) -> Letters:
        return cls(model_name_or_path)

    def embed_images(self, images, scale=1.0, **kwargs):
        return self._vectors([np.asarray(image).mean((0, 1)) * scale for image in images])

    def embed_text(self, texts, **kwargs):
        return self._vectors([[text.count(vowel) for vowel in "aei"] for text in texts])

    def _vectors(self, rows):
        vectors = np.array(rows, dtype=np.float32)
        return torch.from_numpy(vectors) if self.kind == "torch" else vectors


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_cosines_agree_with_torch(kind: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 32)).astype(np.float32), rng.normal(size=(3, 32)).astype(np.float32)
    expected = torch.nn.functional.cosine_similarity(torch.from_numpy(x)[:, None], torch.from_numpy(y)[None], dim=-1)
    given = (torch.from_numpy(x), torch.from_numpy(y)) if kind == "torch" else (x, y)
    ours = cosine_matrix(*given)
    assert isinstance(ours, torch.Tensor) is (kind == "torch")
    # torch 2.13; float32 sums of 32 terms in another order.
    np.testing.assert_allclose(np.asarray(ours), expected.numpy(), atol=1e-6)


def test_numpy_and_torch_may_be_mixed() -> None:
    assert isinstance(cosine_matrix(np.eye(2, dtype=np.float32), torch.eye(2)), torch.Tensor)
    assert cosine_matrix(torch.eye(2), np.eye(2, dtype=np.float32)).tolist() == [[1, 0], [0, 1]]


def test_zeros_whole_numbers_and_huge_halves_have_finite_cosines() -> None:
    assert cosine_matrix(np.zeros((1, 2)), np.ones((1, 2))).tolist() == [[0]]
    np.testing.assert_allclose(cosine_matrix(np.array([[3, 4]]), np.array([[4, 3]])), [[0.96]], atol=1e-6)
    huge = np.full((1, 4), 6e4, np.float16)
    # float16 has 11 bits.
    np.testing.assert_allclose(cosine_matrix(huge, huge), [[1]], atol=2e-3)
    assert cosine_matrix(np.zeros((0, 4)), np.ones((2, 4))).shape == (0, 2)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_images_are_compared_to_texts_unless_it_is_said_otherwise(kind: str) -> None:
    model = Letters.from_pretrained(kind)
    image = np.zeros((2, 2, 3))
    image[..., 1] = 10
    cosines = np.asarray(model.compare_embeddings([image], ["e", "a", "ei"]))
    np.testing.assert_allclose(cosines, [[1, 0, 0.5**0.5]], atol=1e-6)
    assert np.asarray(model.compare_embeddings(["a"], ["aa"], x_type="text")).tolist() == [[1]]
    assert np.asarray(model.compare_embeddings([image], [image], y_type="image", scale=2.0)).tolist() == [[1]]
    assert not callable(model)


def test_another_kind_than_image_or_text_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        Letters("numpy").compare_embeddings([], [], x_type="sound")
    assert str(caught.value) == "x_type cannot be 'sound'.\nneeds 'image' or 'text'; found: 'sound'"


def test_an_image_embedding_is_what_the_model_says_of_a_pre_processed_image() -> None:
    class Mean(ImageEmbeddingModel[np.ndarray]):
        def pre_process(self, images, scale):
            return np.stack(images) * scale

        def forward_embedding(self, pre_processed_images, output_type=None):
            return pre_processed_images.mean((1, 2)) if output_type is None else output_type

        def get_embedding_info(self, output_type=None):
            return {"output_type": output_type or "feature_vector"}

    model = Mean()
    assert model.embed_images([np.ones((2, 2, 3))], scale=2).tolist() == [[2, 2, 2]]
    assert model.embed_images([np.ones((2, 2, 3))], output_type="logits", scale=2) == "logits"
    assert model.embedding_info == {"output_type": "feature_vector"}


def test_a_model_may_embed_images_in_one_step_of_its_own() -> None:
    class Whole(ImageEmbeddingModel[np.ndarray]):
        def embed_images(self, images, output_type=None, **kwargs):
            return np.ones((len(images), 4))

    assert Whole().embed_images([1, 2]).shape == (2, 4)
    with pytest.raises(NotImplementedError, match="Whole does not say how it embeds images"):
        Whole().forward_embedding(np.zeros(1))


def test_a_classifier_can_give_embeddings_too() -> None:
    class Both(ClassificationModel[np.ndarray, np.ndarray], ImageEmbeddingModel[np.ndarray]):
        class_names = ()

        @classmethod
        def from_pretrained(cls, model_name_or_path, **kwargs):
            return cls()

        def pre_process(self, images, **kwargs):
            return np.stack(images).mean((1, 2))

        def forward(self, pre_processed_images, **kwargs):
            return pre_processed_images

        def post_process(self, model_results, **kwargs):
            return ClassificationPrediction(model_results.argmax(-1), model_results)

        def forward_embedding(self, pre_processed_images, output_type=None):
            return pre_processed_images

    image = np.zeros((2, 2, 3))
    image[..., 2] = 1
    with Both() as model:
        assert model([image]).class_id.tolist() == [2]
        assert model.embed_images([image]).tolist() == [[0, 0, 1]]
