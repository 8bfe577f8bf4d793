"""What the HTTP library raises, as errors of this library."""

from __future__ import annotations

import ssl

import httpx

from inference_models.errors import BaseInferenceModelsError, ModelRetrievalError, RetryError

FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "no free connection in time"),
    (httpx.ReadTimeout, "a pause that is too long"),
    (httpx.WriteTimeout, "a pause that is too long"),
    (httpx.ProxyError, "a proxy that refused"),
    (httpx.ConnectError, "no connection"),
    (httpx.RemoteProtocolError, "a connection that broke off, or an answer that is not HTTP"),
    (httpx.TransportError, "a connection that broke off"),
)
_OF_THE_MACHINE = (httpx.TimeoutException, httpx.NetworkError)
_CLOCK_CODES = frozenset({9, 10})
"""OpenSSL: the certificate is not valid yet, or not any more."""


def failure(error: Exception, *, where: str) -> BaseInferenceModelsError:
    """The error of ours that `error`, one of `FOREIGN`, stands for."""
    certificate = _certificate_error(error)
    if certificate is not None:
        return _untrusted(certificate, where)
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)):
        return ModelRetrievalError(f"{where} cannot be asked.", needs="an http or https URL", found="another address")
    found = next((words for kind, words in _REASONS if isinstance(error, kind)), "a connection that was closed")
    return RetryError(f"{where} did not answer.", needs="an answer", found=found, fix="check the network and run again")


def shown_cause(error: Exception) -> Exception | None:
    """`error`, where it may be seen in a traceback: its text comes from this machine, not from an answer or a URL."""
    return error if isinstance(error, _OF_THE_MACHINE) else None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _untrusted(error: ssl.SSLCertVerificationError, where: str) -> ModelRetrievalError:
    clock = error.verify_code in _CLOCK_CODES
    return ModelRetrievalError(
        f"{where} cannot prove who it is.",
        needs="a certificate that this machine trusts",
        found=error.verify_message or "another certificate",
        fix="check the clock of this machine" if clock else "set SSL_CERT_FILE to the certificates of your network",
    )
