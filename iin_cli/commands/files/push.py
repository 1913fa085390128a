"""`iin push`: checkpoint → copies, pictures and card → one commit on the Hub."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...distributed import choose_device
from ...hub.address import HubAddress
from ...hub.sending import require_sender, send
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io import checkpoint
from ...io.atomic import write_text
from ...io.output import require_folder
from ...io.rundir import open_run
from ...io.schema import read_json
from ...progress import Reporter, Silent
from ...publishing.card import Audited, Card, CardFile, CardPicture, check_license, check_tag
from ...publishing.contents import Contents, contents_of
from ...publishing.copies import write_copies
from ...publishing.pictures import draw_swaps
from ...results import Result, Table

__all__ = ["CardChoice", "PushResult", "push"]

CARD, MATRICES = "README.md", "audit.png"


@dataclass(frozen=True)
class CardChoice:
    """What the user adds to the card.

    Attributes:
        license: an identifier of the Hub.
        tags: besides those that every card has.
        audit: the folder of an audit, or its `audit.json`; None looks in the run.
        pictures: whether swaps of test images are shown; everyone who reads the card sees these images.
    """

    license: str | None = None
    tags: Sequence[str] = ()
    audit: Path | None = None
    pictures: bool = True


@dataclass(frozen=True)
class PushResult(Result):
    """What was sent, or would be.

    Attributes:
        out: the folder with all that is sent.
        sent: whether it was; False for a dry run.
        url: the repository's page; None for a dry run.
        files: name and bytes of each.
    """

    out: str
    repository: str
    kind: str
    sent: bool
    private: bool
    bytes: int
    files: tuple[dict[str, Any], ...]
    url: str | None = None
    commit: str | None = None

    def tables(self) -> list[Table]:
        """Return the files as a table."""
        return [("files", self.files)]


def push(
    run: Path,
    repository: str,
    card: CardChoice,
    out: Path | None = None,
    *,
    choice: DataChoice | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    private: bool = False,
    dry: bool = False,
    report: Reporter | None = None,
) -> PushResult:
    """Send a translator with its backbone, or a backbone, to a repository of the Hub, with a card.

    Args:
        run: a run folder or a checkpoint.
        repository: `owner/name`.
        out: a new folder for what is sent: copies without the paths of this machine, pictures, card.
        choice: the data of the pictures; by default the translator's own.
        backbone: where the translator's backbone lies now, if it was moved.
        dry: write the folder, and send nothing.

    Raises UsageError (names, licence, no token), CheckpointError (damaged files, another backbone, another's audit),
    IinError where the Hub fails; the repository then holds what it held.
    """
    require_folder(out, "the files of a repository")
    report, repository = report or Silent(), HubAddress.repository_of(repository)
    card = replace(card, license=check_license(card.license), tags=tuple(map(check_tag, card.tags)))
    if not dry:
        require_sender(repository)
    contents = contents_of(run, card.audit, backbone, report)
    with open_run(out, f"push-{repository.rpartition('/')[2]}") as folder:
        files = write_copies(contents, folder)
        pictures = _pictures(contents, folder, repository, card, choice or DataChoice(), device, report)
        files |= {picture.name: folder / picture.name for picture in pictures}
        write_text(folder / CARD, _card(contents, files, repository, card, pictures).markdown())
        files = {CARD: folder / CARD, **files}
        if card.license is None:
            report.warn("the card names no licence, so that nobody knows what is allowed: --license mit, or another")
        sizes = tuple({"name": name, "bytes": path.stat().st_size} for name, path in files.items())
        total = sum(path.stat().st_size for path in files.values())
        result = PushResult(str(folder), repository, contents.kind, False, private, total, sizes)
        if dry:
            return result
        done = send(repository, files, f"{contents.kind} by iin {version('iin-cli')}", private=private, report=report)
    return replace(result, sent=True, url=done.url, commit=done.commit, private=done.private)


def _pictures(
    contents: Contents,
    folder: Path,
    repository: str,
    card: CardChoice,
    choice: DataChoice,
    device: str,
    report: Reporter,
) -> list[CardPicture]:
    """Put the pictures into `folder`: swaps, and the matrices of the audit."""
    pictures: list[CardPicture] = []
    if card.pictures and contents.network is not None and contents.network.file is not None:
        opened = open_translator(folder / "translator.safetensors", choose_device(device), report=report)
        pictures += draw_swaps(ChosenData(opened, _named(choice, contents), report), f"hf:{repository}", folder)
    if contents.audit is not None and (matrices := contents.audit.parent / MATRICES).is_file():
        shutil.copyfile(matrices, folder / MATRICES)
        pictures.append(CardPicture(MATRICES, "What each factor tells of each concept, and what a swap of it does."))
    return pictures


def _named(choice: DataChoice, contents: Contents) -> DataChoice:
    """Return the choice with the place of the data that the copy no longer names."""
    recorded: Mapping[str, Any] = contents.metadata.get("data") or {}
    if choice.data is not None or recorded.get("name") is None:
        return choice
    root = choice.root or choice.root_of(recorded)
    return replace(choice, data=recorded["name"], root=root, skip_bad=choice.skip_bad or bool(recorded.get("left_out")))


def _card(
    contents: Contents,
    files: Mapping[str, Path],
    repository: str,
    card: CardChoice,
    pictures: Sequence[CardPicture],
) -> Card:
    main = next(iter(files.values()))
    return Card(
        repository,
        checkpoint.describe(main),
        [CardFile(name, path.stat().st_size, checkpoint.digest(path)) for name, path in files.items()],
        contents.network.use if contents.network is not None else None,
        card.license,
        card.tags,
        None if contents.audit is None else read_json(contents.audit, Audited),
        pictures,
    )
