"""What every way to a folder behind a URL must do. A subclass brings the fixtures `place` and `folder`.

`place` is the URL the folder is published at, `folder` its content as `published` gives it.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from inference_models.entities import FileDownloadSpecs, InlineFileSpecs
from inference_models.providers import open_provider
from providers.contract import ProviderContract
from providers.published import expected_scores


class PublishedContract(ProviderContract):
    @pytest.fixture
    def known(self, place):
        return f"{place}#day-night"

    @pytest.fixture
    def misspelt(self, place):
        return f"{place}#day-nihgt"

    nearest = pytest.fixture(lambda self: "day-night")
    how = pytest.fixture(lambda self: {})

    @pytest.fixture
    def provider(self, place):
        with closing(open_provider(place.partition("://")[0])) as opened:
            yield opened

    def test_the_whole_package_is_announced(self, provider, known):
        metadata = provider.describe(known)
        assert (metadata.model_architecture, metadata.task_type) == ("classifier", "classification")
        assert (metadata.license, metadata.source) == ("CC0-1.0", "made in a test")
        (package,) = metadata.model_packages
        assert (package.package_id, package.onnx_package_details.opset) == ("onnxfp32", 17)
        assert (package.dynamic_batch_size_supported, package.trusted_source) == (True, True)
        handles = {item.file_handle: type(item) for item in package.package_artefacts}
        assert handles == {
            "weights.onnx": FileDownloadSpecs,
            "class_names.txt": FileDownloadSpecs,
            "inference_config.json": FileDownloadSpecs,
            "model_config.json": InlineFileSpecs,
        }

    def test_a_part_of_a_file_can_be_asked_for(self, provider, known, folder):
        (weights, *_) = provider.describe(known).model_packages[0].package_artefacts
        content = folder["day-night/weights.onnx"]
        stream = provider.open(weights, start=7, stop=50)
        assert (b"".join(stream.chunks), stream.start, stream.size, stream.ranges) == (
            content[7:50],
            7,
            len(content),
            True,
        )
        assert stream.version
        assert b"".join(provider.open(weights, start=7).chunks) == content[7:]

    def test_it_loads_and_predicts(self, known, how):
        pytest.importorskip("onnxruntime")
        from inference_models import AutoModel

        image = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
        prediction = AutoModel.from_pretrained(known, **how)(image, input_color_format="rgb")
        # No resize at this size: float64 in NumPy, 1e-6.
        np.testing.assert_allclose(np.asarray(prediction.confidence)[0], expected_scores(image), atol=1e-6)

    def test_the_only_model_needs_no_name_and_shares_its_place_in_the_cache(self, provider, place, known):
        unnamed = provider.describe(place)
        assert unnamed.model_id == place
        named = provider.describe(known)
        assert unnamed.model_packages[0].cache_model_id == named.model_packages[0].cache_model_id
        assert provider.describe(f"{place}/manifest.json#day-night").model_packages == named.model_packages
