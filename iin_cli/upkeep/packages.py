"""Which packages are installed, which are missing or too old, and for what: from metadata, nothing is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version

from packaging.requirements import InvalidRequirement, Requirement

from ..guests.entry_points import OWN, Point

__all__ = ["Package", "installed", "packages", "plugin_packages"]

# Optional part of iin -> what it is for.
PURPOSES = {
    "umap": "iin embed --method umap",
    "video": "iin walk and iin embed --out FILE.mp4",
    "hub": "iin push, and hf:owner/name for a checkpoint",
    "explore": "iin explore",
    "notebook": "a translator in a notebook",
    "tensorboard": "--log tensorboard",
}


@dataclass(frozen=True)
class Package:
    """A package that iin needs, always or for something.

    Attributes:
        installed: its version; None where it is missing.
        wanted: the versions that will do, as `>=2.6`.
        extra: the optional part of iin that needs it; None where iin itself does.
    """

    name: str
    installed: str | None
    wanted: str
    extra: str | None
    fits: bool

    @property
    def purpose(self) -> str:
        """What it is for."""
        return "every command" if self.extra is None else PURPOSES.get(self.extra, f"the optional part {self.extra}")

    @property
    def remedy(self) -> str | None:
        """What to type where it is missing or does not fit; None where all is well."""
        if self.fits:
            return None
        return f"pip install '{OWN}[{self.extra}]'" if self.extra else f"pip install '{self.name}{self.wanted}'"


def packages() -> list[Package]:
    """Return the packages that iin's own metadata name for this Python, those of optional parts last."""
    found: list[Package] = []
    for line in _own().requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        # The name of the optional part stands in the condition alone.
        part = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", str(requirement.marker or ""))
        extra = part[1] if part else None
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""}):
            there = installed(requirement.name)
            fits = there is not None and requirement.specifier.contains(there, prereleases=True)
            found.append(Package(requirement.name, there, str(requirement.specifier), extra, fits))
    return sorted(found, key=lambda package: (package.extra or "", package.name))


def installed(name: str) -> str | None:
    """Return the version of an installed package; None where it is missing or its metadata are damaged."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def plugin_packages(points: list[Point]) -> dict[str, dict[str, int]]:
    """Return `NAME VERSION` of the other packages that register something -> group -> how many names."""
    found: dict[str, dict[str, int]] = {}
    for point in points:
        if point.distribution != OWN:
            groups = found.setdefault(f"{point.distribution} {point.version}", {})
            group = point.group.removeprefix("iin.")
            groups[group] = groups.get(group, 0) + 1
    return found


def _own() -> Distribution:
    return distribution(OWN)
