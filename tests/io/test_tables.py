import csv
import json

import torch

from iin_cli.interpretation.opening import open_translator
from iin_cli.io.tables import write_table


def test_log_probabilities_are_the_classifiers(files):
    opened = open_translator(files.of_classes)
    z = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    found = opened.network.answers(z)
    assert torch.allclose(found.exp().sum(1), torch.ones(40))
    torch.testing.assert_close(found, torch.log_softmax(opened.backbone.decode(z), 1))


def test_one_table_as_json_and_csv(tmp_path):
    rows = [{"name": "a,b", "p": {"cat": 0.25, "dog": 0.75}}, {"name": "c", "p": {"cat": 1.0, "dog": 0.0}}]
    write_table(tmp_path / "t.json", rows)
    assert json.loads((tmp_path / "t.json").read_text()) == rows
    write_table(tmp_path / "t.csv", rows)
    with open(tmp_path / "t.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert found[0] == {"name": "a,b", "p.cat": "0.25", "p.dog": "0.75"}
    assert len(found) == 2
