"""Provider `file`: models that a `manifest.json` in a folder announces, `file:///folder[#model-id]`."""

from __future__ import annotations

from inference_models.providers._manifest_provider import ManifestProvider


def open_provider() -> ManifestProvider:
    """A provider for ids that begin with `file://`."""
    return ManifestProvider("file")
