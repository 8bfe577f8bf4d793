"""Provider `s3`: models that a `manifest.json` in an S3 bucket announces, `s3://bucket/prefix[#model-id]`."""

from __future__ import annotations

from inference_models.providers._manifest_provider import ManifestProvider


def open_provider() -> ManifestProvider:
    """A provider for ids that begin with `s3://`."""
    return ManifestProvider("s3")
