from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import check_external_data, parse_onnx
from package.onnx_models import external, small_model

LINE = "m.onnx: tensor 'e' at byte {} has its values in a file that is not opened.\nneeds {}; found: {}"


def model_with(tensor, folder):
    model = small_model()
    model.graph.initializer.append(tensor)
    return parse_onnx(model.SerializeToString(), folder / "m.onnx")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "data.bin").write_bytes(bytes(16))
    (tmp_path / "outside.bin").write_bytes(bytes(16))
    return tmp_path / "p"


def test_a_plain_file_of_the_folder_is_accepted(folder):
    check_external_data(model_with(external(), folder))
    check_external_data(model_with(external(offset="4", length="12", checksum="x"), folder))
    (folder / "sub").mkdir()
    (folder / "sub" / "w.bin").write_bytes(bytes(16))
    check_external_data(model_with(external(location="sub/w.bin"), folder))
    for name in ("my weights (1).bin", "données+v1.onnx.data", "重み.bin", "[a] & b=c,d'e.bin"):
        (folder / name).write_bytes(bytes(16))
        check_external_data(model_with(external(location=name), folder))


def refused(tensor, folder, needs, found):
    model = model_with(tensor, folder)
    with pytest.raises(CorruptedModelPackageError) as caught:
        check_external_data(model)
    assert str(caught.value) == LINE.format(model.external[0].position, needs, found)


NAMES = (
    r"../outside.bin a/../../outside.bin /etc/passwd C:\x C:x.bin \\host\share\x . ./data.bin con sub//w.bin data.bin."
)


ODD_NAMES = ["", " ", "con .x/a", "a /b", "a\u202eb", "a\u00a0b", "a\tb", "données/../x", "a|b", "a\x7fb"]


@pytest.mark.parametrize("location", [*NAMES.split(), *ODD_NAMES, "data.bin\0.txt", "*/_ORT_MEM_ADDR_/*"])
def test_every_name_that_is_not_plain_is_refused(folder, location):
    refused(external(location=location), folder, "a plain name inside the package folder", ascii(location))


def test_a_link_may_lead_to_a_file_of_the_folder_and_nowhere_else(folder):
    (folder / "in.bin").symlink_to(folder / "data.bin")
    check_external_data(model_with(external(location="in.bin"), folder))
    (folder / "out.bin").symlink_to(folder.parent / "outside.bin")
    refused(external(location="out.bin"), folder, "a file of the folder", "'out.bin' is a link that leads out of it")
    (folder / "sub").symlink_to(folder.parent)
    found = "'sub/outside.bin' is a link that leads out of it"
    refused(external(location="sub/outside.bin"), folder, "a file of the folder", found)
    (folder / "round.bin").symlink_to("round.bin")
    with pytest.raises(CorruptedModelPackageError, match=r"needs the file 'round\.bin'"):
        check_external_data(model_with(external(location="round.bin"), folder))


@pytest.mark.parametrize("copied", [False, True], ids=["the same disk", "another disk"])
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_snapshot_of_the_hub_with_external_data_runs(tmp_path, monkeypatch, backend, copied):
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    if copied:
        monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError))
    answer = np.zeros((1, 6, 84), np.float32)
    answer[0, :, 5] = [20, 20, 20, 20, 0, 0.9]
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=(64, 64), outputs={"output0": answer})
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "0", tmp_path / "models--a--b" / "blobs"
    (snapshot / "onnx" / "sub").mkdir(parents=True)
    location = "sub/w.bin"
    (blobs / "sub").mkdir(parents=True)
    onnx.save(onnx.load(path), blobs / "1", save_as_external_data=True, location=location, size_threshold=500)
    (blobs / location).rename(blobs / "2")
    (snapshot / "onnx" / "m.onnx").symlink_to("../../../blobs/1")
    (snapshot / "onnx" / location).symlink_to("../../../../blobs/2")
    options = {"labels": ["a", "b"], "model_type": "yolov8", "backend": backend}
    model = AutoModel.from_pretrained(snapshot / "onnx" / "m.onnx", **options)
    assert model(np.zeros((64, 64, 3), np.uint8))[0].xyxy.tolist() == [[10, 10, 30, 30]]


def test_a_hard_link_is_refused(folder):
    os.link(folder.parent / "outside.bin", folder / "hard.bin")
    refused(external(location="hard.bin"), folder, "a file with one name", "'hard.bin' has 2 (hard links)")


def test_what_is_no_regular_file_is_refused(folder):
    os.mkfifo(folder / "pipe")
    refused(external(location="pipe"), folder, "regular files", "'pipe' is none")
    refused(external(location="no.bin"), folder, "the file 'no.bin'", "No such file or directory")


@pytest.mark.parametrize(
    ("entries", "needs", "found"),
    [
        ({"offset": "17"}, "bytes within the 16 of 'data.bin'", "17 + 0"),
        ({"offset": "8", "length": "9"}, "bytes within the 16 of 'data.bin'", "8 + 9"),
        ({"length": "18446744073709551616"}, "whole numbers for offset and length", "'18446744073709551616'"),
        ({"offset": "-1"}, "whole numbers for offset and length", "'-1'"),
        ({"offset": "0x4"}, "whole numbers for offset and length", "'0x4'"),
        ({"basepath": "/"}, "location, offset, length and checksum, each at most once", "'location', 'basepath'"),
    ],
)
def test_a_range_beyond_the_file_and_unknown_entries_are_refused(folder, entries, needs, found):
    refused(external(**entries), folder, needs, found)


def test_two_locations_are_refused(folder):
    tensor = external()
    tensor.external_data.add(key="location", value="../outside.bin")
    refused(
        tensor,
        folder,
        "location, offset, length and checksum, each at most once",
        "'location', 'location'",
    )


def test_a_tensor_that_says_external_and_no_more_is_refused(folder):
    tensor = external()
    del tensor.external_data[:]
    refused(tensor, folder, "a location", "none")
