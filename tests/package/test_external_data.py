from __future__ import annotations

import os

import pytest

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


def refused(tensor, folder, needs, found):
    model = model_with(tensor, folder)
    with pytest.raises(CorruptedModelPackageError) as caught:
        check_external_data(model)
    assert str(caught.value) == LINE.format(model.external[0].position, needs, found)


NAMES = (
    r"../outside.bin a/../../outside.bin /etc/passwd C:\x C:x.bin \\host\share\x . ./data.bin con sub//w.bin data.bin."
)


@pytest.mark.parametrize("location", [*NAMES.split(), "", "data.bin\0.txt", "*/_ORT_MEM_ADDR_/*"])
def test_every_name_that_is_not_plain_is_refused(folder, location):
    refused(external(location=location), folder, "a plain name inside the package folder", ascii(location))


def test_a_link_is_refused_whether_it_leads_in_or_out(folder):
    (folder / "out.bin").symlink_to(folder.parent / "outside.bin")
    refused(external(location="out.bin"), folder, "regular files", "'out.bin' is a link")
    (folder / "in.bin").symlink_to(folder / "data.bin")
    refused(external(location="in.bin"), folder, "regular files", "'in.bin' is a link")
    (folder / "sub").symlink_to(folder.parent)
    refused(external(location="sub/outside.bin"), folder, "regular files", "'sub/outside.bin' is a link")


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
