"""The explorer in a notebook, by anywidget: the page's pads and pictures, and the kernel in the server's place."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from ..errors import IinError
from .explorer import Explorer
from .worker import Ticket

__all__ = ["ExplorerWidget"]

# In the order in which one needs the other.
MODULES = ("elements", "answers", "pad", "state", "newest", "places", "widget")
# Images that a factor can be taken from.
SOURCES = 24
START = "export default { render: renderWidget };\n"


def _page(name: str) -> str:
    return files("iin_cli.explorer").joinpath("page", name).read_text(encoding="utf-8")


def _script() -> str:
    """Return the page's modules as the one that a widget may be: without imports, and names that were exported."""
    parts = [re.sub(r"^import [^;]*;\n", "", _page(f"{name}.js"), flags=re.MULTILINE) for name in MODULES]
    script = re.sub(r"^export ", "", "\n".join(parts), flags=re.MULTILINE)
    return script.replace("states.", "") + START


def _sources(explorer: Explorer) -> list[dict[str, str]]:
    """Return the images that a factor can be taken from, and what each is called."""
    items = explorer.shelf(0, SOURCES)["items"]
    return [{"id": item["id"], "label": f"{item['label']} ({item['id']})"} for item in items]


class ExplorerWidget(anywidget.AnyWidget):
    """A picture, and for each factor a pad, a source and its strength; `explorer` answers, in the notebook's process.

    Args:
        image: its name, as the explorer knows images: `test:12`.
    """

    _esm = _script()
    translator = traitlets.Dict().tag(sync=True)
    image = traitlets.Unicode().tag(sync=True)
    shelf = traitlets.List().tag(sync=True)
    sheet = traitlets.Unicode(_page("explorer.css")).tag(sync=True)

    def __init__(self, explorer: Explorer, image: str) -> None:
        super().__init__(translator=explorer.translator(), image=image, shelf=_sources(explorer))
        self._explorer = explorer
        self.on_msg(self._answer)

    def _answer(self, _: object, message: Mapping[str, Any], __: object) -> None:
        """Answer a view: the edit it asks for, or why there is none."""
        told = {name: message.get(name) for name in ("view", "number")}
        try:
            reply = self._explorer.edit(message.get("body") or {}, Ticket())
            self.send({**told, "reply": {**reply, "pictures": self._pictures(reply)}})
        except IinError as error:
            self.send({**told, "fault": str(error)})

    def _pictures(self, reply: Mapping[str, Any]) -> dict[str, str]:
        """Return the real images that a reply names and a view shows: the first near one, and the image itself."""
        names = [
            name for image in reply["images"] if image["nearest"] for name in (image["id"], image["nearest"][0]["id"])
        ]
        png = {name: base64.b64encode(self._explorer.image(name)).decode("ascii") for name in names}
        return {name: f"data:image/png;base64,{content}" for name, content in png.items()}
