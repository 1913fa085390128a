"""An explorer of a small translator, and a browser's part played in this process."""

import pytest
from starlette.testclient import TestClient

from iin_cli.explorer.app import make_app
from iin_cli.explorer.explorer import Explorer, Told
from iin_cli.explorer.guard import hosts_of
from iin_cli.explorer.uploads import Uploads
from iin_cli.explorer.worker import Worker
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.measures.edited.surroundings import Surroundings
from iin_cli.progress import Silent

TOKEN, BASE = "t" * 24, "http://127.0.0.1:8420"


def open_explorer(translator, pictures, folder):
    opened = open_translator(translator)
    data = None if opened.network is None else ChosenData(opened, DataChoice(str(pictures)), Silent())
    options = ("--translator", str(translator), *([] if data is None else ["--data", str(pictures)]))
    told = Told("iin explore t", options, {"digit": "usable"})
    return Explorer(opened, data, Surroundings(opened, data, Silent()), Uploads(folder), told)


class Page(TestClient):
    """What a page does: it has the cookie, and names itself as the origin."""

    def __init__(self, explorer, token=TOKEN):
        self.explorer, self.workers = explorer, (Worker(), Worker())
        app = make_app(explorer, TOKEN, hosts_of(["127.0.0.1"], 8420), 8420, *self.workers)
        super().__init__(app, base_url=BASE, raise_server_exceptions=False, headers={"origin": BASE})
        if token:
            assert self.get("/", params={"token": token}, follow_redirects=False).status_code == 303

    def edit(self, *names, **body):
        return self.post("/api/edit", json={"images": list(names), **body})


@pytest.fixture(scope="session")
def explorers(files, pictures, tmp_path_factory):
    """An explorer of images, of classes, and of latents alone; encoded once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = {}
        for name in ("of_images", "of_classes", "of_latents"):
            made[name] = open_explorer(getattr(files, name), pictures, tmp_path_factory.mktemp("uploads"))
            made[name].prepare()
        yield made


@pytest.fixture
def open_page(explorers):
    """Open a page of the explorer `name`; a page without a token has no cookie."""
    opened = []

    def make(name="of_classes", token=TOKEN):
        client = Page(explorers[name], token)
        opened.append(client)
        return client

    yield make
    for client in opened:
        for worker in client.workers:
            worker.close()
        client.close()


@pytest.fixture
def page(open_page):
    """The page of the classifier's explorer."""
    return open_page()
