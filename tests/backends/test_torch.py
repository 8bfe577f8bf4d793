from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="weights are put into networks by PyTorch")

import torch
from torch import Tensor, nn

import torch_graphs
from backends.contract import SessionContract
from inference_models.backends import torch as backend
from inference_models.backends.session import InputHint, SessionRequest
from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference_models.backends.session import Session

HINT = InputHint((None, 3, 8, 8), (3, 8, 8))


def opened(folder: Path, module: Any = torch_graphs.build_convolution, **changes: object) -> Session:
    files = {path.name: path for path in folder.iterdir()}
    return backend.open_session(
        SessionRequest(directory=folder, files=files, module=module, **{"input_hint": HINT, **changes})
    )


def save(folder: Path, state: object, name: str = "weights.pth", **options: object) -> Path:
    torch.save(state, folder / name, **options)
    return folder


class TestTorchSession(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> Session:
        return opened(save(tmp_path, torch_graphs.convolution().state_dict()))


def store(folder: Path, state: object, name: str, **options: object) -> Path:
    """Write `state` into a package, as the suffix of `name` says."""
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors.torch").save_file(state, folder / name)
    else:
        torch.save(state, folder / name, **options)
    return folder


STATE = torch_graphs.convolution().state_dict()
OLD = {"_use_new_zipfile_serialization": False}
"""As PyTorch wrote before 1.6."""


@pytest.mark.parametrize(
    ("state", "name", "options"),
    [
        (STATE, "weights.pth", {}),
        (STATE, "weights.pt", OLD),
        *(({"epoch": 3, wrapper: STATE}, "weights.pth", {}) for wrapper in backend.WRAPPERS),
        (STATE, "weights.safetensors", {}),
        (STATE, "model.safetensors", {}),
    ],
)
def test_the_same_weights_may_be_stored_in_many_ways(
    tmp_path: Path, state: object, name: str, options: dict[str, object]
) -> None:
    store(tmp_path, state, name, **options)
    if name.endswith(".safetensors"):  # which is taken first
        (tmp_path / "weights.pth").write_bytes(b"never read")
    answer = opened(tmp_path).run({"images": np.ones((1, 3, 8, 8), np.float32)})["output0"]
    expected = torch_graphs.convolution()(torch.ones(1, 3, 8, 8)).detach()
    torch.testing.assert_close(answer, expected, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_is_written_over_does_not_change_the_model_that_runs(tmp_path: Path, name: str) -> None:
    session = opened(store(tmp_path, STATE, name))
    feed = {"images": np.ones((1, 3, 8, 8), np.float32)}
    before = session.run(feed)["output0"]
    with (tmp_path / name).open("r+b") as file:
        file.write(bytes(file.seek(0, 2)))
        file.truncate(0)
    torch.testing.assert_close(session.run(feed)["output0"], before, atol=0, rtol=0)


class Normalised(nn.Module):
    """Batch normalisation, and a table that is computed and not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("table", torch.arange(8.0), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(images) + self.table


def build_normalised(shapes: Mapping[str, tuple[int, ...]], stated: Mapping[str, Any]) -> Normalised:
    return Normalised()


def test_a_table_that_the_network_computes_itself_is_computed(tmp_path: Path) -> None:
    save(tmp_path, Normalised().state_dict())
    answer = opened(tmp_path, build_normalised).run({"images": np.zeros((1, 3, 8, 8), np.float32)})["output0"]
    np.testing.assert_array_equal(answer[0, 0, 0].numpy(), np.arange(8))


def test_old_weights_need_no_counters_of_batch_normalisation(tmp_path: Path) -> None:
    state = {name: value for name, value in Normalised().state_dict().items() if "num_batches" not in name}
    save(tmp_path, state)
    assert opened(tmp_path, build_normalised).outputs[0].shape == (None, 3, 8, 8)


@pytest.mark.parametrize(("stored", "runs"), [(torch.float64, "float32"), (torch.float16, "float16")])
def test_weights_run_in_the_nearest_format_a_session_has(tmp_path: Path, stored: torch.dtype, runs: str) -> None:
    session = opened(save(tmp_path, {name: value.to(stored) for name, value in STATE.items()}))
    assert (session.inputs[0].dtype, session.outputs[0].dtype) == (runs, runs)


def refusal(folder: Path, module: Any = torch_graphs.build_convolution) -> str:
    with pytest.raises(CorruptedModelPackageError) as caught:
        opened(folder, module)
    return str(caught.value)


class TestWeightsOfAnotherNetwork:
    def test_missing_unknown_and_misshapen_tensors_are_named(self, tmp_path: Path) -> None:
        state = {"layer.weight": torch.zeros(4, 3, 5, 5), **{f"head.{index}": torch.zeros(1) for index in range(5)}}
        assert refusal(save(tmp_path, state)) == (
            "weights.pth: the weights are not those of the architecture.\n"
            "needs 2 tensors; found: 1 missing: layer.bias; 5 unknown: head.0, head.1, head.2, ...; "
            "1 of another shape: layer.weight (4, 3, 5, 5) instead of (4, 3, 3, 3)\n"
            "name the architecture these weights were trained with"
        )

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite(self, tmp_path: Path, value: float) -> None:
        state = torch_graphs.convolution().state_dict()
        state["layer.bias"][1] = value
        assert refusal(save(tmp_path, state)) == (
            "weights.pth: weights are NaN or infinite.\n"
            "needs finite numbers; found: 1 tensors with others: layer.bias\n"
            "fetch the package again, or take a checkpoint from before the training diverged"
        )


KINDS = {
    "nested": (lambda weight: torch.nested.nested_tensor([torch.zeros(2, 2), torch.zeros(3, 2)]), "a nested tensor"),
    "jagged": (
        lambda weight: torch.nested.nested_tensor([torch.zeros(2, 2), torch.zeros(3, 2)], layout=torch.jagged),
        "a nested tensor",
    ),
    "sparse": (lambda weight: weight.to_sparse(), "a tensor with layout sparse_coo"),
    "quantised": (lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), "a quantised tensor"),
    "meta": (lambda weight: weight.to("meta"), "a tensor without values"),
    "endless": (lambda weight: torch.zeros(1).expand(1 << 20, 1 << 20), "a tensor that repeats its values"),
}


def test_a_storage_that_claims_more_than_its_record_is_refused(tmp_path: Path) -> None:
    """Eight numbers of a record of four: the others would be what follows in the file."""
    torch.save({"layer.bias": torch.zeros(4)}, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole, zipfile.ZipFile(tmp_path / "weights.pth", "w") as made:
        for name in whole.namelist():
            data = whole.read(name)
            made.writestr(name, data.replace(b"K\x04", b"K\x08") if name.endswith("data.pkl") else data)
    assert "found: a storage of 32 bytes, and no record of that size" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ('"w": {0}, "w": {0}', 'the key "w" twice'),
        (", ".join(f'"w{index}": {{0}}' for index in range(100_000)), "more than 300000 values"),
    ],
)
def test_a_header_with_an_entry_twice_or_without_end_is_refused(entries: str, found: str, tmp_path: Path) -> None:
    entry = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
    header = ("{" + entries.replace("{0}", entry) + "}").encode()
    (tmp_path / "weights.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert f"found: {found}" in refusal(tmp_path)


NUMBERS = [torch.int32, torch.bool, torch.complex64, torch.float8_e4m3fn]
OF_ANOTHER_KIND = (
    "{file}: a weight is of a kind that the network cannot hold.\n"
    "needs {needs}; found: {found}\n"
    "save the weights as float32: torch.save(model.float().state_dict(), 'weights.pth')"
)
FLOATING = "float32 or float16 or bfloat16 or float64"


# PyTorch 2.13 warns about nested and quantised tensors.
@pytest.mark.filterwarnings("ignore::UserWarning")
class TestWeightsOfAnotherKind:
    @pytest.mark.parametrize("kind", KINDS)
    def test_tensors_that_are_not_plain_are_refused_by_name(self, tmp_path: Path, kind: str) -> None:
        state = torch_graphs.convolution().state_dict()
        make, found = KINDS[kind]
        state["layer.weight"] = make(state["layer.weight"])
        assert refusal(save(tmp_path, state)) == OF_ANOTHER_KIND.format(
            file="weights.pth", needs="plain tensors", found=f"layer.weight, {found}"
        )

    @pytest.mark.parametrize("dtype", NUMBERS, ids=str)
    @pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
    def test_numbers_that_are_not_floating_point_are_refused_by_name(
        self, tmp_path: Path, dtype: torch.dtype, name: str
    ) -> None:
        store(tmp_path, {key: value.to(dtype) for key, value in STATE.items()}, name)
        assert refusal(tmp_path) == OF_ANOTHER_KIND.format(
            file=name, needs=FLOATING, found=f"layer.weight, {str(dtype).removeprefix('torch.')}"
        )

    def test_fractions_where_the_network_counts_are_refused_by_name(self, tmp_path: Path) -> None:
        state = Normalised().state_dict()
        state["norm.num_batches_tracked"] = torch.tensor(1.5)
        assert refusal(save(tmp_path, state), build_normalised) == OF_ANOTHER_KIND.format(
            file="weights.pth",
            needs="int64 or int32 or int16 or int8 or uint8 or bool",
            found="norm.num_batches_tracked, float32",
        )


class Gadget:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.path, "w")


class TestPicklesThatAreMoreThanTensors:
    @pytest.mark.parametrize("is_zip", [True, False])
    def test_a_gadget_is_refused_by_name_and_not_run(self, tmp_path: Path, is_zip: bool) -> None:
        canary = tmp_path / "canary"
        folder = tmp_path / "package"
        folder.mkdir()
        state = OrderedDict(torch_graphs.convolution().state_dict(), gadget=Gadget(canary))
        save(folder, state, _use_new_zipfile_serialization=is_zip)
        with pytest.raises(CorruptedModelPackageError) as caught:
            opened(folder)
        assert not canary.exists()
        assert str(caught.value) == (
            "weights.pth is refused: it is a pickle, and not of tensors alone. None of it was run.\n"
            f"needs tensors, numbers, text, lists and dictionaries; found: {open.__module__}.open\n"
            "save weights alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
        )
        # Python itself: this is what the refusal is for.
        pickle.loads(pickle.dumps(Gadget(canary))).close()
        assert canary.exists()

    def test_a_whole_module_is_refused_by_its_class(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptedModelPackageError, match=r"found: torch\.nn\.modules\.conv\.Conv2d"):
            opened(save(tmp_path, nn.Conv2d(3, 4, 3)))


DAMAGED = "{} cannot be read.\nneeds {}; found: {}\nfetch the package again"
OTHER = (
    "weights.pth holds something other than weights.\n"
    "needs tensors by name, as model.state_dict() gives them; found: {}\n"
    "torch.save(model.state_dict(), 'weights.pth')"
)
SAVED = "weights as torch.save writes them"


class TestFilesThatAreNoWeights:
    @pytest.mark.parametrize(
        ("name", "content", "needs", "found"),
        [
            ("weights.pth", b"", SAVED, "an empty file"),
            ("weights.pth", b"<html>not found</html>", SAVED, "a file of another kind"),
            (
                "weights.pth",
                b"PK\x03\x04 cut off",
                SAVED,
                "PytorchStreamReader failed reading zip archive: not a ZIP archive",
            ),
            (
                "weights.safetensors",
                b"\xff" * 40,
                "a safetensors file with a header of at most 8388608 bytes",
                "a header of 18446744073709551615 bytes",
            ),
        ],
    )
    def test_a_damaged_file(self, tmp_path: Path, name: str, content: bytes, needs: str, found: str) -> None:
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path) == DAMAGED.format(name, needs, found)

    @pytest.mark.parametrize(
        ("state", "found"),
        [
            ({}, "an empty dictionary"),
            ([torch.zeros(2)], "a list"),
            ({"epoch": 3, "optimizer": 1}, "a dictionary of epoch, optimizer"),
        ],
    )
    def test_something_other_than_a_state_dict(self, tmp_path: Path, state: object, found: str) -> None:
        assert refusal(save(tmp_path, state)) == OTHER.format(found)

    def test_an_archive_of_torchscript_under_that_name(self, tmp_path: Path) -> None:
        torch_graphs.save_archive(torch_graphs.convolution(), tmp_path / "weights.pt")
        assert "TorchScript" in refusal(tmp_path)

    def test_a_program_of_torch_export_is_not_opened(self, tmp_path: Path) -> None:
        (tmp_path / "weights.pt2").write_bytes(b"never read")
        assert refusal(tmp_path) == (
            "weights.pt2: programs of torch.export are not opened, because reading one can run code that it brings.\n"
            "needs weights alone, an ONNX graph or a TorchScript archive; found: an exported program\n"
            "torch.onnx.export(torch.export.load('weights.pt2'), f='weights.onnx'), if you trust the file"
        )

    def test_no_weights_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "class_names.txt").write_text("a")
        assert refusal(tmp_path) == (
            "the package has no weights.\n"
            "needs weights.safetensors or model.safetensors or weights.pth or weights.pt; found: class_names.txt\n"
            "fetch the package again, or add the missing file"
        )


def test_a_family_without_a_module_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelImplementationNotFoundError) as caught:
        opened(save(tmp_path, torch_graphs.convolution().state_dict()), None)
    assert str(caught.value) == (
        "weights.pth: this architecture cannot be built from weights alone.\n"
        "needs a family with a PyTorch module; found: one without\n"
        "export the model to ONNX or TorchScript, and load that"
    )
