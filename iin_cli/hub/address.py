"""`hf:owner/name[@revision][/path]`: the address of checkpoints in a repository of the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Self

from ..errors import UsageError

__all__ = ["HubAddress", "is_address"]

PREFIX = "hf:"
# What can be written after it, for messages.
FORM = "hf:owner/name, hf:owner/name@revision or hf:owner/name/folder"
NAME = r"(?!.*(?:--|\.\.))[A-Za-z0-9](?:[\w.-]{0,94}\w)?"
# A branch, a tag or a commit; a pull request's name is the only one with strokes that can be written.
REVISION = r"refs/pr/\d+|[\w.-]+"
ADDRESS = re.compile(rf"hf:/{{0,2}}(?P<owner>[^/@]+)/(?P<name>[^/@]+)(?:@(?P<revision>{REVISION}))?(?P<path>/.*)?")


def is_address(path: str | PurePath) -> bool:
    """Say whether `path`, as a command takes one, is an address on the Hub.

    >>> is_address("hf:me/digits"), is_address("digits.safetensors")
    (True, False)
    """
    return str(path).startswith(PREFIX)


@dataclass(frozen=True)
class HubAddress:
    """A place on the Hub.

    Attributes:
        repository: `owner/name`.
        revision: branch, tag or commit; None for the main branch.
        path: a folder in the repository, empty for its root, or a `.safetensors` file.
    """

    repository: str
    revision: str | None = None
    path: str = ""

    @classmethod
    def parse(cls, text: str | PurePath) -> Self:
        """Read an address. UsageError for one of another form, and for a file that is not `.safetensors`.

        >>> HubAddress.parse("hf:me/digits@v1/old")
        HubAddress(repository='me/digits', revision='v1', path='old')
        """
        found = ADDRESS.fullmatch(str(text))
        if found is None or not all(re.fullmatch(NAME, found[part], re.ASCII) for part in ("owner", "name")):
            raise UsageError(f"{text} is no address on the Hub: write {FORM}")
        path = (found["path"] or "").strip("/")
        if not all(re.fullmatch(r"[\w.\- ]*[\w\-]", part) for part in path.split("/") if path):
            raise UsageError(f"{text}: {path!r} is no folder or file of a repository: write {FORM}")
        address = cls(f"{found['owner']}/{found['name']}", found["revision"], path)
        if not address.is_file and PurePosixPath(path).suffix in (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".json"):
            raise UsageError(f"{text}: only .safetensors files are taken from the Hub; name one, or a folder")
        return address

    @classmethod
    def repository_of(cls, text: str) -> str:
        """Return `owner/name` of what a user writes for a whole repository. UsageError for anything else.

        >>> HubAddress.repository_of("me/digits"), HubAddress.repository_of("hf:me/digits")
        ('me/digits', 'me/digits')
        """
        if not is_address(text) and "/" not in text:
            raise UsageError(f"{text!r} is no repository of the Hub: write owner/name, as in me/{text or 'digits'}")
        address = cls.parse(text if is_address(text) else f"{PREFIX}{text}")
        if address.revision or address.path:
            raise UsageError(f"{text}: name a repository only, as in {address.repository}")
        return address.repository

    def __str__(self) -> str:
        """Return it as it is written."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.repository}{revision}{f'/{self.path}' if self.path else ''}"

    @property
    def is_file(self) -> bool:
        """Whether `path` is a file."""
        return self.path.endswith(".safetensors")

    @property
    def folder(self) -> str:
        """The folder that it is, or that its file is in; empty for the root."""
        return self.path.rpartition("/")[0] if self.is_file else self.path

    def beside(self, name: str) -> str:
        """Return the path in the repository of a file `name` in this folder."""
        return f"{self.folder}/{name}" if self.folder else name
