"""CLIP and SigLIP: tiny random networks against what open_clip 3.3 and transformers 5.24 answer with them.

`tools/record_embeddings.py` made the fixtures. 1e-4 of vectors of length about 1 to 4; 1e-2 where Pillow is older
than the 13.0 of the fixtures: its bicubic resize of a tall picture differs in a few grey levels.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import PIL
import pytest

import hosted
from inference_models import AutoModel, TextImageEmbeddingModel
from inference_models.arrays import to_numpy
from inference_models.errors import (
    CorruptedModelPackageError,
    ForbiddenLocalCodePackageAccessError,
    InvalidParameterError,
    ModelInputError,
)
from inference_models.parity.answers import ask_other, ask_reference
from inference_models.parity.compare import FP32

pytest.importorskip("tokenizers")
pytest.importorskip("torch")
import torch_graphs

TOLERANCE = 1e-4 if int(PIL.__version__.partition(".")[0]) >= 13 else 1e-2
RECORDED = Path(__file__).with_name("recorded")
TEXTS = ["a photo of a cat", "A  DOG, running!", "it's 42 o'clock", "l'été à Zürich", "“curled” &amp; ﬁne", ""]
NETWORKS = {"clip": "clip", "clip_transformers": "clip", "siglip_transformers": "siglip"}
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
INFERENCE = {
    "network_input": torch_graphs.network_input(
        (32, 32),
        scaling_factor=255,
        resize_mode="shorter-edge-crop",
        shorter_edge=32,
        interpolation="cubic",
        antialias=True,
        normalization=[MEAN, STD],
    )
}
"""Archives do not say their size."""
RUNS = [(name, backend) for name in NETWORKS for backend in ("onnx", "openvino")]
RUNS.append(("clip_transformers", "torch-script"))


def word_table() -> np.ndarray:
    """What the fixture of open_clip leaves out, as `tools/record_embeddings.py` made it."""
    numbers = np.sin(np.arange(49408 * 8, dtype=np.float64) ** 1.5)
    return numbers.reshape(49408, 8).astype(np.float32)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packages")
    for name, architecture in NETWORKS.items():
        for kind in ("onnx", "torch-script"):
            folder = root / f"{name}-{kind}"
            shutil.copytree(RECORDED / name, folder)
            config = {"model_architecture": architecture, "task_type": "embedding", "backend_type": kind}
            (folder / "model_config.json").write_text(json.dumps(config))
    (root / "clip_transformers-torch-script" / "inference_config.json").write_text(json.dumps(INFERENCE))
    graph = root / "clip-onnx" / "textual.onnx"
    model = onnx.load(graph)
    next(item for item in model.graph.initializer if list(item.dims) == [49408, 8]).raw_data = word_table().tobytes()
    graph.write_bytes(model.SerializeToString())
    return root


def load(packages: Path, name: str, backend: str):
    if backend == "openvino":
        pytest.importorskip("openvino")
    folder = packages / f"{name}-{'torch-script' if backend == 'torch-script' else 'onnx'}"
    consent = consent_to(folder) if backend == "torch-script" else None
    return AutoModel.from_pretrained(folder, backend=backend, allow_local_code_packages=consent)


def consent_to(folder: Path) -> str:
    """What the refusal prints to be pasted."""
    with pytest.raises(ForbiddenLocalCodePackageAccessError) as caught:
        AutoModel.from_pretrained(folder)
    return str(caught.value.fix).split('"')[1]


def recorded(name: str):
    with np.load(RECORDED / name / "expected.npz") as stored:
        pictures = [np.ascontiguousarray(stored[f"picture{place}"][..., ::-1]) for place in range(3)]
        return pictures, stored["images"], stored["texts"]


@pytest.mark.parametrize(("name", "backend"), RUNS)
def test_vectors_are_those_of_the_library_of_the_network(packages, name, backend):
    pictures, images, texts = recorded(name)
    with load(packages, name, backend) as model:
        assert isinstance(model, TextImageEmbeddingModel)
        ours = to_numpy(model.embed_images(pictures)), to_numpy(model.embed_text(TEXTS))
        cosines = to_numpy(model.compare_embeddings(pictures, TEXTS))
    np.testing.assert_allclose(ours[0], images, atol=TOLERANCE)
    np.testing.assert_allclose(ours[1], texts, atol=TOLERANCE)
    lengths = np.linalg.norm(images, axis=1)[:, None] * np.linalg.norm(texts, axis=1)
    np.testing.assert_allclose(cosines, images @ texts.T / lengths, atol=TOLERANCE)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_answered_in_order_and_as_each_alone(packages, name):
    pictures, images, texts = recorded(name)
    with load(packages, name, "onnx") as model:
        np.testing.assert_allclose(model.embed_images(pictures[::-1]), images[::-1], atol=TOLERANCE)
        np.testing.assert_allclose(model.embed_images(pictures[1]), images[1:2], atol=TOLERANCE)
        np.testing.assert_allclose(model.embed_text(TEXTS[::-1]), texts[::-1], atol=TOLERANCE)
        np.testing.assert_allclose(model.embed_text(TEXTS[0]), texts[:1], atol=TOLERANCE)
        np.testing.assert_allclose(model.embed_text(TEXTS * 20), np.tile(texts, (20, 1)), atol=TOLERANCE)
        same = model.compare_embeddings(pictures, pictures, y_type="image")
        np.testing.assert_allclose(np.diagonal(same), 1, atol=1e-6)


@pytest.fixture(scope="module")
def model(packages):
    with load(packages, "clip", "onnx") as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["ok", "word " * 90], r"text 2 of 2 is too long for the model\.\nneeds at most 77 tokens.*; found: 92"),
        ("a" * 30_000, "text 1 of 1 is too long for the model.\nneeds at most 20000 characters; found: 30000"),
        (["ok", 7], "text 2 of 2 is no text.\nneeds a str; found: int"),
        ("\ud800", "text 1 of 1 is no text.\nneeds Unicode"),
        ([], "there is no text to embed.\nneeds a text, or a list of at least one; found: an empty list"),
        (None, "there is no text to embed.\nneeds a text, or a list of at least one; found: NoneType"),
    ],
)
def test_what_cannot_be_embedded_as_text_is_refused_and_the_next_call_works(model, texts, said):
    with pytest.raises(ModelInputError, match=said):
        model.embed_text(texts)
    assert model.embed_text("a cat").shape == (1, 12)


def test_no_image_and_an_unknown_option_are_refused(model):
    with pytest.raises(ModelInputError, match="there is no image to run on"):
        model.embed_images([])
    with pytest.raises(InvalidParameterError, match="confidence"):
        model.embed_images(np.zeros((8, 8, 3), np.uint8), confidence=0.5)
    assert not callable(model)


def test_vectors_come_as_the_kind_of_array_that_was_asked_for(packages):
    with AutoModel.from_pretrained(packages / "clip-onnx", arrays="torch") as model:
        vectors = model.embed_text("a"), model.embed_images(np.zeros((8, 8, 3), np.uint8))
    assert [(str(found.dtype), tuple(found.shape)) for found in vectors] == [("torch.float32", (1, 12))] * 2


def test_stages_give_what_a_call_gives(model):
    pictures, images, _ = recorded("clip")
    np.testing.assert_allclose(model.post_process(model.forward(model.pre_process(pictures))), images, atol=TOLERANCE)


def changed(packages, folder, **files):
    """A copy of the package of SigLIP in which some files are others, or missing."""
    shutil.copytree(packages / "siglip_transformers-onnx", folder)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.unlink() if content is None else path.write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tokenizer__json": None}, r"has no file for its tokenizer\.\nneeds one file tokenizer\.json"),
        ({"tokenizer__json": b"{}"}, "tokenizer.json is not the description of a tokenizer"),
        ({"tokenizer_config__json": b"[]"}, "tokenizer_config.json cannot be read"),
        ({"tokenizer_config__json": b'{"pad_token": "<x>"}'}, "does not know the token that fills rows up"),
        ({"text_model__onnx": None}, r"has no file for its textual\.\nneeds one file \*text\*\.onnx"),
    ],
)
def test_a_package_without_what_its_texts_need_is_refused_when_it_is_loaded(packages, tmp_path, files, said):
    with pytest.raises(CorruptedModelPackageError, match=said):
        AutoModel.from_pretrained(changed(packages, tmp_path / "p", **files))


def test_graphs_of_two_models_are_refused_with_both_lengths(packages, tmp_path):
    folder = changed(packages, tmp_path / "p")
    shutil.copy(packages / "clip_transformers-onnx" / "vision_model.onnx", folder)
    with pytest.raises(
        CorruptedModelPackageError, match="needs vectors of one length; found: 12 of its visual and 16 of"
    ):
        AutoModel.from_pretrained(folder)


def test_a_graph_of_images_in_place_of_that_of_texts_is_refused(packages, tmp_path):
    folder = changed(packages, tmp_path / "p")
    shutil.copy(folder / "vision_model.onnx", folder / "text_model.onnx")
    with pytest.raises(CorruptedModelPackageError, match="the graph is not one that takes texts"):
        AutoModel.from_pretrained(folder)


def text_projection_times(factor: float, path: Path) -> None:
    graph = onnx.load(path)
    (weight,) = [item for item in graph.graph.initializer if sorted(item.dims) == [12, 16]]
    weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * np.float32(factor)).tobytes()
    path.write_bytes(graph.SerializeToString())


@pytest.mark.parametrize(("factor", "agrees"), [(1.0, True), (1.01, False)])
def test_runtimes_are_compared_by_vectors_of_images_and_of_texts(packages, tmp_path, factor, agrees):
    pytest.importorskip("openvino")
    folder = shutil.copytree(packages / "clip_transformers-onnx", tmp_path / "p")
    text_projection_times(factor, folder / "text_model.onnx")
    pictures, _, _ = recorded("clip_transformers")
    with load(packages, "clip_transformers", "onnx") as model:
        reference = ask_reference(model, pictures)
    with AutoModel.from_pretrained(folder, backend="openvino") as model:
        _, tally = ask_other(model, pictures, reference)
    beyond = tally.deviation().beyond(FP32)
    assert beyond == (
        () if agrees else ("output 'texts' differs by up to 0.01 of its largest magnitude (allowed: 0.001)",)
    )


def test_a_hosted_package_of_two_graphs_alone_is_fetched_and_answers(packages, monkeypatch):
    """As the hosted API has it: no pre-processing, no vocabulary."""
    pictures, images, texts = recorded("clip")
    host = hosted.Hosted()
    names = ("model_config.json", "visual.onnx", "textual.onnx")
    files = {name: (packages / "clip-onnx" / name).read_bytes() for name in names}
    host.add("clip/tiny", files, model_architecture="clip", task_type="embedding")
    hosted.install(monkeypatch, {"host": host})
    for _ in range(2):
        with TextImageEmbeddingModel.from_pretrained("clip/tiny", weights_provider="host") as model:
            np.testing.assert_allclose(model.embed_images(pictures), images, atol=TOLERANCE)
            np.testing.assert_allclose(model.embed_text(TEXTS), texts, atol=TOLERANCE)
    assert sorted(host.read_files) == sorted(names)
