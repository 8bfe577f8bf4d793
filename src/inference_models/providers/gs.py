"""Provider `gs`: models that a `manifest.json` in Google Cloud Storage announces, `gs://bucket/prefix[#model-id]`."""

from __future__ import annotations

from inference_models.providers._manifest_provider import ManifestProvider


def open_provider() -> ManifestProvider:
    """A provider for ids that begin with `gs://`."""
    return ManifestProvider("gs")
