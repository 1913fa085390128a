"""Send files to a repository of the Hub: all of them in one commit, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import IinError, UsageError
from ..progress import Reporter, Silent
from .faults import is_offline, require_library, said_plainly

__all__ = ["Sent", "require_sender", "send"]


@dataclass(frozen=True)
class Sent:
    """A commit on the Hub: its id, the repository's page, and whether only invited people see it."""

    commit: str
    url: str
    private: bool


def require_sender(repository: str) -> None:
    """Raise UsageError where nothing can be sent: the user forbids the network, or there is no token."""
    library = require_library()
    if is_offline():
        raise UsageError(f"hf:{repository}: HF_HUB_OFFLINE is set, and sending needs the network: unset it")
    if library.get_token() is None:
        raise UsageError(
            f"hf:{repository}: sending needs a token: set HF_TOKEN to one that may write, or type: hf auth login"
        )


def send(
    repository: str, files: Mapping[str, Path], message: str, *, private: bool = False, report: Reporter | None = None
) -> Sent:
    """Make the repository, unless it is there, and put `files` into it, name -> path, in one commit.

    Args:
        private: let only invited people see it. One that is public already is refused, not changed.

    Raises UsageError without a token, and for a public repository that was to be private; IinError where the Hub
    refuses or fails. Nothing in the repository has changed then.
    """
    require_sender(repository)
    library, report = require_library(), report or Silent()
    api: Any = library.HfApi(library_name="iin-cli")
    total = sum(path.stat().st_size for path in files.values())
    unseen = library.utils.are_progress_bars_disabled()
    library.utils.disable_progress_bars()
    try:
        with said_plainly(f"hf:{repository}", IinError):
            api.create_repo(repository, private=True if private else None, exist_ok=True)
            found = api.model_info(repository)
            if private and not found.private:
                raise UsageError(
                    f"--private: hf:{repository} is there already and public: change that on its page, or choose "
                    "another name"
                )
            added = [library.CommitOperationAdd(name, str(path)) for name, path in files.items()]
            with report.task(f"sending {len(added)} files to hf:{repository}", total / 1e6, "MB") as task:
                # One by one, to say how far it is: the library's own bars are not drawn off a terminal.
                for operation in added:
                    api.preupload_lfs_files(repository, [operation], free_memory=False)
                    task.advance(operation.upload_info.size / 1e6, file=operation.path_in_repo)
            done = api.create_commit(repository, added, commit_message=message)
    finally:
        if not unseen:
            library.utils.enable_progress_bars()
    return Sent(done.oid, f"{library.constants.ENDPOINT}/{repository}", bool(found.private))
