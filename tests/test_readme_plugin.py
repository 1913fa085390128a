"""The plugin of the docs, installed as it stands there, is found and makes its pairs."""

import re
import tomllib
from pathlib import Path

import numpy as np

from iin_cli.data import open_dataset
from iin_cli.registry import find

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"


def test_the_plugin_of_the_docs_works(tmp_path, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    project = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])["project"]
    code = re.search(r"```python\n(# iin_mirror\.py.*?)```", text, re.DOTALL)[1]
    (tmp_path / "iin_mirror.py").write_text(code)
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(tmp_path)

    provider = find("concepts", "mirror").make()
    dataset = open_dataset("digits")
    groups = provider.groups(dataset, np.array([4, 9]), seed=0)
    assert sorted(zip(groups.group_ids, groups.variants, strict=True)) == [(4, 0), (4, 1), (9, 0), (9, 1)]
    images = dataset.images(np.array([4, 9]), 32)
    assert not np.array_equal(provider.render(images, 1), images)
    np.testing.assert_array_equal(provider.render(provider.render(images, 1), 1), images)
