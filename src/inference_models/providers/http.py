"""Provider `http`: models that a `manifest.json` on a web server announces, `http://host/folder[#model-id]`."""

from __future__ import annotations

from inference_models.providers._manifest_provider import ManifestProvider


def open_provider() -> ManifestProvider:
    """A provider for ids that begin with `http://`."""
    return ManifestProvider("http")
