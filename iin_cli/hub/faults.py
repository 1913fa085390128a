"""What the Hub's library raises, as errors of this program: what happened, why, what to type."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import CheckpointError, IinError, NotInstalledError, reason

__all__ = ["is_offline", "require_library", "said_plainly"]

# A library's message may hold a whole page of the server.
LONGEST_REASON = 200
NO_ACCESS = (401, 403)
SERVER_FAULT = 500
# What versions of the library speak HTTP by; their errors are not errors of the system.
CLIENTS = ("httpx", "httpx2", "httpcore", "requests", "urllib3")


def require_library() -> Any:
    """Return the library `huggingface_hub`, silent; NotInstalledError where it is missing."""
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise NotInstalledError(
            "the Hub needs huggingface_hub, which is not installed: pip install 'iin-cli[hub]'"
        ) from error
    # It would say on stderr what the errors say again.
    huggingface_hub.utils.logging.set_verbosity_error()
    return huggingface_hub


def is_offline() -> bool:
    """Say whether the user forbids the network to the Hub's library."""
    return bool(require_library().constants.HF_HUB_OFFLINE)


@contextmanager
def said_plainly(what: str, kind: type[IinError] = CheckpointError) -> Iterator[None]:
    """Turn what the library raises over `what`, an address, into one error of this program.

    Args:
        kind: the error for a repository that is not there or not to be had, and for a server that fails.
    """
    library = require_library()
    try:
        yield
    except (IinError, MemoryError):
        raise
    # The library's own errors, those of its client for HTTP, which changes with its version, and the system's.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        raise kind(f"{what}: {_why(error, library)}") from error


def _why(error: Exception, library: Any) -> str:
    errors = library.errors
    if isinstance(error, errors.HFValidationError):
        return f"the Hub does not take this name: {_first(error)}"
    if isinstance(error, errors.GatedRepoError):
        return f"its authors let in whom they choose: ask on its page on the Hub, then {_token_advice(library)}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision: look for its branches, tags and commits on the Hub"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the Hub has no such repository, or it is private: check the name, or {_token_advice(library)}"
    if is_offline() and isinstance(error, (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)):
        return f"HF_HUB_OFFLINE is set, and it is not whole in the cache {_cache(library)}: unset it to fetch it"
    status = _status(error) or _status(error.__cause__)
    if status in NO_ACCESS:
        return f"the Hub refuses access (HTTP {status}): {_token_advice(library)}"
    said = getattr(error, "server_message", None) or _first(error.__cause__ or error)
    if status is not None:
        return f"the Hub {'refuses' if status < SERVER_FAULT else 'fails'} (HTTP {status}): {said}"
    endpoint = library.constants.ENDPOINT
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in CLIENTS:
        return f"the Hub at {endpoint} cannot be reached ({said}): try again"
    return f"the answer of {endpoint} cannot be used ({said})"


def _status(error: BaseException | None) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _token_advice(library: Any) -> str:
    if library.get_token() is None:
        return "set HF_TOKEN to a token of yours that may read or write it, or type: hf auth login"
    return "give another token in HF_TOKEN: the present one has no access to it"


def _cache(library: Any) -> str:
    return str(library.constants.HF_HUB_CACHE)


def _first(error: BaseException) -> str:
    text = reason(error).partition(" For more information")[0] if isinstance(error, Exception) else str(error)
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"
