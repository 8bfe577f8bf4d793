"""What every provider must do. A subclass brings the fixtures `provider`, `known`, `misspelt` and `nearest`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from inference_models.entities import FileDownloadSpecs, InlineFileSpecs, LocalFileArtefactSpecs, ModelMetadata
from inference_models.errors import InvalidParameterError, ModelNotFoundError


class ProviderContract:
    def test_a_known_model_is_described(self, provider, known):
        metadata = provider.describe(known)
        assert isinstance(metadata, ModelMetadata)
        assert (metadata.model_id, bool(metadata.model_packages)) == (known, True)
        for package in metadata.model_packages:
            handles = [item.file_handle for item in package.package_artefacts]
            assert len(set(handles)) == len(handles) > 0

    def test_describing_twice_gives_equal_values(self, provider, known):
        assert provider.describe(known) == provider.describe(known)

    def test_an_unknown_model_is_not_found_and_the_nearest_is_named(self, provider, misspelt, nearest):
        with pytest.raises(ModelNotFoundError) as caught:
            provider.describe(misspelt)
        assert f"nearest: '{nearest}'" in str(caught.value)

    def test_the_bytes_are_those_that_were_announced(self, provider, known):
        for item in provider.describe(known).model_packages[0].package_artefacts:
            if isinstance(item, FileDownloadSpecs):
                data = b"".join(provider.read(item))
                assert hashlib.sha256(data).hexdigest() == item.sha256_hash
                assert len(data) == item.size
            else:
                assert isinstance(item, (LocalFileArtefactSpecs, InlineFileSpecs))

    def test_a_part_of_a_file_says_where_it_begins(self, provider, known):
        downloads = [
            item
            for item in provider.describe(known).model_packages[0].package_artefacts
            if isinstance(item, FileDownloadSpecs)
        ]
        if not hasattr(provider, "open") or not downloads:
            assert not downloads or callable(provider.read)
            return
        whole = b"".join(provider.read(downloads[0]))
        for start, stop in ((0, None), (1, None), (0, 2), (2, 5), (len(whole) - 1, None)):
            stream = provider.open(downloads[0], start=start, stop=stop)
            assert stream.start in {start, 0}
            assert stream.size in {len(whole), None}
            assert whole[stream.start :].startswith(b"".join(stream.chunks)[: (stop or len(whole)) - stream.start])

    @pytest.mark.parametrize("odd", ["a\0b", "a\nb", "\x1b[2J", "x" * 5000, ""])
    def test_odd_ids_are_refused_without_touching_the_disk(self, provider, odd, monkeypatch):
        def touched(*args, **kwargs):
            pytest.fail("the disk was asked")

        for name in ("exists", "is_dir", "iterdir", "open", "stat"):
            monkeypatch.setattr(Path, name, touched)
        with pytest.raises(InvalidParameterError):
            provider.describe(odd)

    def test_closing_twice_is_fine(self, provider):
        provider.close()
        provider.close()
