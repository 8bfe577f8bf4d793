"""The second door: names that need an optional package say so when it is missing."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from inference_models import developer_tools
from inference_models.errors import MissingDependencyError

LAZY = {
    "TRTCudaGraphCache": "tensorrt",
    "align_device_with_onnx_session": "torch",
    "establish_trt_cuda_graph_cache": "tensorrt",
    "generate_batch_chunks": "torch",
    "get_trt_engine_inputs_and_outputs": "tensorrt",
    "infer_from_trt_engine": "tensorrt",
    "load_trt_model": "tensorrt",
    "run_onnx_session_via_iobinding": "torch",
    "run_onnx_session_with_batch_size_limit": "torch",
    "set_onnx_execution_provider_defaults": "torch",
    "use_cuda_context": "pycuda",
    "use_primary_cuda_context": "pycuda",
}
"""Name -> the package whose absence is said."""
WITHOUT = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "tensorrt", "pycuda", "onnxruntime"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from inference_models import developer_tools
from inference_models.errors import MissingDependencyError
for name in sys.argv[1:]:
    try:
        getattr(developer_tools, name)
    except MissingDependencyError as error:
        print(f"{name}: {str(error).splitlines()[0]}")
"""


def test_dir_lists_the_lazy_names_too() -> None:
    assert dir(developer_tools) == sorted([*developer_tools.__all__, *LAZY])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'inference_models\.developer_tools' has no attribute"):
        developer_tools.nothing


@pytest.mark.parametrize("name", sorted(LAZY))
def test_a_lazy_name_is_there_or_names_what_is_missing(name: str) -> None:
    if importlib.util.find_spec(LAZY[name]) is not None:
        assert callable(getattr(developer_tools, name))
        return
    with pytest.raises(MissingDependencyError, match=rf"^developer_tools\.{name} cannot be used here\."):
        getattr(developer_tools, name)


def test_all_of_them_are_refused_where_nothing_is_installed_and_the_door_still_opens() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *sorted(LAZY)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [f"{name}: developer_tools.{name} cannot be used here." for name in sorted(LAZY)]


@pytest.mark.skipif(importlib.util.find_spec("pycuda") is not None, reason="pycuda is installed")
def test_the_whole_text_of_such_an_error() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        developer_tools.use_cuda_context
    assert str(caught.value) == (
        "developer_tools.use_cuda_context cannot be used here.\nneeds pycuda; found: not installed\npip install pycuda"
    )
