from __future__ import annotations

import pytest

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.private_imports import refuse_private_imports

BASE = "inference_models.models.base"
OURS, TOOLS = "inference_models", "inference_models.developer_tools"


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [  # modules and names of the public library 0.39.6
        (f"{BASE}.object_detection", "Detections", f"from {OURS} import Detections"),
        (f"{BASE}.semantic_segmentation", "SemanticSegmentationResult", f"from {OURS} import Sem"),
        (f"{BASE}.types", "InstancesRLEMasks", f"from {OURS} import InstancesRLEMasks"),
        (f"{BASE}.types", "PreprocessedInputs", "typing.Any"),
        (f"{OURS}.models.auto_loaders.core", "AutoModel", f"from {OURS} import AutoModel"),
        (f"{OURS}.models.auto_loaders.entities", "BackendType", f"from {OURS} import BackendType"),
        (f"{OURS}.models.auto_loaders.models_registry", "OBJECT_DETECTION_TASK", "'object-detection'"),
        (f"{OURS}.models.common.model_packages", "get_model_package_contents", f"from {TOOLS} import get_"),
        (f"{OURS}.models.common.onnx", "run_onnx_session_with_batch_size_limit", f"from {TOOLS} import run_onnx"),
        (f"{OURS}.models.common.cuda", "use_primary_cuda_context", f"from {TOOLS} import use_primary_cuda_context"),
        (f"{OURS}.models.common.roboflow.pre_processing", "images_to_pillow", "no public name; keep a copy"),
        (f"{OURS}.models.common.rle_utils", "torch_mask_to_coco_rle", "InstancesRLEMasks.from_dense"),
        (f"{OURS}.utils.download", "download_files_to_directory", f"from {TOOLS} import download_files_to_directory"),
        (f"{OURS}.utils.onnx_introspection", "get_selected_onnx_execution_providers", f"from {TOOLS} import get_sel"),
        (f"{OURS}.weights_providers.entities", "ModelPackageMetadata", f"from {TOOLS} import ModelPackageMetadata"),
        (f"{OURS}.weights_providers.entities", "Quantization", f"from {OURS} import Quantization"),
        (f"{OURS}.weights_providers.core", "register_model_provider", f"from {TOOLS} import register"),
        (f"{OURS}.configuration", "DEFAULT_DEVICE", "the argument `device` of from_pretrained"),
        (f"{OURS}.configuration", "API_CALLS_TIMEOUT", 'os.environ.get("API_CALLS_TIMEOUT")'),
        (f"{OURS}.logger", "LOGGER", 'logging.getLogger("inference-models")'),
        (f"{OURS}.runtime_introspection.core", "x_ray_runtime_environment", f"from {TOOLS} import x_ray_runtime"),
    ],
)  # fmt: skip
def test_an_import_of_the_other_library_s_internals_is_refused_with_what_replaces_it(module, name, instead):
    with pytest.raises(CorruptedModelPackageError) as caught:
        refuse_private_imports(f"from {module} import {name}\n", "model.py")
    assert caught.value.found == module
    assert f"\n  {name}: " in caught.value.fix
    assert instead in caught.value.fix


def test_every_import_is_named_at_once_those_inside_functions_too():
    source = (
        f"import {OURS}.configuration\ndef f():\n    from {BASE}.types import InstancesRLEMasks as M, RawPrediction\n"
    )
    with pytest.raises(CorruptedModelPackageError) as caught:
        refuse_private_imports(source, "model.py")
    doors = f"{OURS} {{}} {TOOLS}"
    assert str(caught.value).splitlines() == [
        "model.py imports internals of another library of this name.",
        f"needs imports from {doors.format('and')} only; found: {OURS}.configuration, {BASE}.types",
        "replace in model.py:",
        f"  {OURS}.configuration: import the names you use from {doors.format('or')}",
        f"  InstancesRLEMasks: from {OURS} import InstancesRLEMasks",
        "  RawPrediction: typing.Any",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from inference_models import AutoModel\nimport inference_models.developer_tools",
        "from inference_models.errors import ModelInputError",
        "try:\n    from inference_models.logger import LOGGER\nexcept (ImportError, KeyError):\n    LOGGER = None",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from inference_models.logger import LOGGER",
        "from .inference_models.logger import LOGGER",
        "this is no Python",
    ],
)
def test_what_exists_and_what_is_guarded_is_left_alone(source):
    refuse_private_imports(source, "model.py")
