"""Provider `az`: models that a `manifest.json` in Azure Blob Storage announces, `az://container/prefix[#model-id]`."""

from __future__ import annotations

from inference_models.providers._manifest_provider import ManifestProvider


def open_provider() -> ManifestProvider:
    """A provider for ids that begin with `az://`."""
    return ManifestProvider("az")
