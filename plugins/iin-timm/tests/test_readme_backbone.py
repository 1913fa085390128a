"""The docs' backbone in 30 lines, installed as it stands there, encodes and decodes like the plugin."""

import re
import tomllib
from pathlib import Path

import torch

from iin_cli.interpretation.opening import open_network
from iin_cli.registry import find

PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"


@torch.inference_mode()
def test_the_backbone_of_the_docs_works(tmp_path, monkeypatch):
    section = PAGE.read_text(encoding="utf-8").partition("## Write a backbone in 30 lines\n")[2]
    project = tomllib.loads(re.search(r"```toml\n(.*?)```", section, re.DOTALL)[1])["project"]
    code = re.search(r"```python\n(# iin_net\.py.*?)```", section, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    (tmp_path / "iin_net.py").write_text(code)
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    target = project["entry-points"]["iin.backbones"]["net"]
    (info / "entry_points.txt").write_text(f"[iin.backbones]\nnet = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)

    with torch.random.fork_rng(devices=[]):
        opened = open_network("net:test_convnext", weights="none")
        again = find("backbones", "net").factory.from_config(opened.backbone.config)
        plugin = open_network("timm:test_convnext", weights="none").backbone
    backbone = opened.backbone
    images = torch.linspace(-1, 1, 2 * 3 * 160 * 160).view(2, 3, 160, 160)
    z = backbone.encode(images)
    assert z.shape == (2, backbone.latent_dim)
    assert backbone.decode(z).shape == (2, len(backbone.classes))
    # Without code of its own it is cut at timm's layers.
    assert opened.at_layer("stages.2").backbone.encode(images).shape == (2, 48)
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again.eval().encode(images), z)
    # The plugin crops what it is given to the same pixels.
    margin = (plugin.image_size - plugin.crop) // 2
    padded = torch.nn.functional.pad(images, [margin] * 4)
    torch.testing.assert_close(plugin.encode(padded), z, rtol=1e-4, atol=1e-5)
