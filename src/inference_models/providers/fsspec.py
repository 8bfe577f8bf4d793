"""Provider `fsspec`: models that a `manifest.json` announces anywhere `fsspec` can read, `scheme://place[#model-id]`."""

from __future__ import annotations

from inference_models.providers._manifest_provider import ManifestProvider


def open_provider() -> ManifestProvider:
    """A provider for ids that begin with any scheme."""
    return ManifestProvider()
