"""Every error this library raises on purpose.

```
BaseInferenceModelsError
├── ModelInputError (ValueError)                     an image or another input of a call cannot be used
├── InvalidParameterError (ValueError)               an argument has a value that makes no sense
│   └── UnknownOptionError (TypeError)               an argument has a name nobody knows
├── InvalidEnvVariable (ValueError)                  an environment variable cannot be read
├── MissingDependencyError (ImportError)             an optional package is not installed
├── EnvironmentConfigurationError (RuntimeError)     the machine is not set up for what was asked
├── ModelRuntimeError (RuntimeError)                 the runtime failed while it ran the graph
├── ModelRetrievalError                              a provider could not say what exists, or hand it over
│   ├── ModelNotFoundError (LookupError)
│   └── FileHashSumMissmatch (ValueError)            bytes are not what the catalogue says they are
├── ModelPackageNegotiationError
│   ├── UnknownBackendTypeError (ValueError)
│   ├── UnknownQuantizationError (ValueError)
│   └── NoModelPackagesAvailableError
│       └── NoCompatiblePackageError                 packages exist, none of them fits; carries every reason
└── ModelLoadingError
    ├── CorruptedModelPackageError (ValueError)      a file of a package is missing, damaged or contradicts another
    ├── ModelImplementationNotFoundError (LookupError)
    ├── MissingModelInitParameterError (TypeError)   a bare file needs labels or a family
    ├── ForbiddenLocalCodePackageAccessError (PermissionError)
    └── DirectLocalStorageAccessError (PermissionError)
```

The text of an error has three parts: what failed, with the caller's own values; `needs ...; found: ...`;
one thing to do. The parts stay on the object as `summary`, `needs`, `found` and `fix`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.resolve.rejection import Rejection


class BaseInferenceModelsError(Exception):
    """Root of all errors of this library."""

    def __init__(
        self,
        message: str,
        help_url: str | None = None,
        *,
        needs: str | None = None,
        found: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.summary = message
        self.help_url = help_url
        self.needs = needs
        self.found = found
        self.fix = fix
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.summary]
        if self.needs is not None:
            lines.append(f"needs {self.needs}; found: {self.found}")
        if self.fix is not None:
            lines.append(self.fix)
        if self.help_url is not None:
            lines.append(f"see {self.help_url}")
        return "\n".join(lines)


class ModelInputError(BaseInferenceModelsError, ValueError):
    """An image, or another input of a call, cannot be used. The model is not affected."""

    index: int | None = None
    """Position, counted from 0, of the image in the caller's list; None when it is not about one image."""


class InvalidParameterError(BaseInferenceModelsError, ValueError):
    """An argument has a value that makes no sense."""


class UnknownOptionError(InvalidParameterError, TypeError):
    """An argument has a name that nothing here knows; the nearest known name is in the text."""


class InvalidEnvVariable(BaseInferenceModelsError, ValueError):  # noqa: N818 - the public name
    """An environment variable holds a text that cannot be read as what it should be."""


class MissingDependencyError(BaseInferenceModelsError, ImportError):
    """An optional package is needed and not installed."""


class EnvironmentConfigurationError(BaseInferenceModelsError, RuntimeError):
    """The machine is not set up for what was asked, for example no execution provider for a device."""


class ModelRuntimeError(BaseInferenceModelsError, RuntimeError):
    """The runtime failed while it ran the graph."""


class ModelRetrievalError(BaseInferenceModelsError):
    """A provider could not say which packages exist, or could not hand over their bytes."""


class ModelNotFoundError(ModelRetrievalError, LookupError):
    """The provider knows no model of that name."""


class FileHashSumMissmatch(ModelRetrievalError, ValueError):  # noqa: N818 - the public name
    """The bytes that arrived are not the ones that were announced; they were thrown away."""


class ModelPackageNegotiationError(BaseInferenceModelsError):
    """No package could be chosen."""


class UnknownBackendTypeError(ModelPackageNegotiationError, ValueError):
    """`backend=` names something that is not a backend."""


class UnknownQuantizationError(ModelPackageNegotiationError, ValueError):
    """`quantization=` names something that is not a quantization."""


class NoModelPackagesAvailableError(ModelPackageNegotiationError):
    """There is no package to choose from."""


class NoCompatiblePackageError(NoModelPackagesAvailableError):
    """Packages exist and none of them can run here. `rejections` holds every reason as data."""

    def __init__(self, message: str, *, rejections: Sequence[Rejection] = ()) -> None:
        self.rejections = tuple(rejections)
        super().__init__(message)


class ModelLoadingError(BaseInferenceModelsError):
    """A package was chosen and could not be loaded."""


class CorruptedModelPackageError(ModelLoadingError, ValueError):
    """A file of the package is missing, damaged, or contradicts another one."""


class ModelImplementationNotFoundError(ModelLoadingError, LookupError):
    """No family of this library, or of an installed plug-in, handles the architecture and task."""


class MissingModelInitParameterError(ModelLoadingError, TypeError):
    """A bare file was given and something it does not say about itself was not said either."""


class ForbiddenLocalCodePackageAccessError(ModelLoadingError, PermissionError):
    """The package brings code, and this code was not allowed to run."""


class DirectLocalStorageAccessError(ModelLoadingError, PermissionError):
    """A path was given while `allow_direct_local_storage_loading=False`."""
