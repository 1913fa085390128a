"""`Interpretation.explore`: the explorer in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, NotInstalledError
from ..explorer.explorer import Explorer, Told
from ..explorer.uploads import Uploads
from ..interpretation.data_choice import DataChoice
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import ChosenData
from ..io.paths import cache_dir
from ..measures.edited.surroundings import SEARCHED, Surroundings
from .listening import Progress, listen

if TYPE_CHECKING:
    from ..explorer.widget import ExplorerWidget

__all__ = ["explore"]


def explore(
    self: OpenTranslator,
    image: str | Path | None = None,
    *,
    data: str | Path | None = None,
    data_root: str | Path | None = None,
    search: int = SEARCHED,
    progress: Progress = None,
) -> ExplorerWidget:
    """Show a picture and a pad for each factor in a notebook (extra `notebook`); dragging changes the picture.

    Args:
        image: an item of the data, as `test:12`, or an image file; None takes the first of the shelf.
        data: a dataset's name or a folder; None takes the backbone's own.
        search: how many training images edits are compared with at most.

    Raises NotInstalledError without anywidget, DataError for an image or data that are not there.
    """
    try:
        from ..explorer.widget import ExplorerWidget
    except ImportError as error:
        raise NotInstalledError(f'explore() needs {error.name}: pip install "iin-cli[notebook]"') from error
    report = listen(progress)
    choice = DataChoice(
        None if data is None else str(data), None if data_root is None else Path(data_root), "test", None, 0
    )
    chosen = None if self.network is None else ChosenData(self, choice, report)
    uploads = Uploads(cache_dir() / "explorer" / "uploads")
    explorer = Explorer(self, chosen, Surroundings(self, chosen, report, search), uploads, Told("", (), {}))
    explorer.prepare()
    return ExplorerWidget(explorer, _name_of(explorer, image))


def _name_of(explorer: Explorer, image: str | Path | None) -> str:
    """Return what the explorer calls an image; a file is kept as an upload."""
    if image is None:
        return explorer.shelf(0, 1)["items"][0]["id"]
    file = Path(image).expanduser()
    if not file.is_file():
        return str(image)
    try:
        return explorer.uploads.add(file.read_bytes()).id
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
