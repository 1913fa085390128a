import csv
import json

from iin_cli.io.tables import write_table


def test_one_table_as_json_and_csv(tmp_path):
    rows = [{"name": "a,b", "p": {"cat": 0.25, "dog": 0.75}}, {"name": "c", "p": {"cat": 1.0, "dog": 0.0}}]
    write_table(tmp_path / "t.json", rows)
    assert json.loads((tmp_path / "t.json").read_text()) == rows
    write_table(tmp_path / "t.csv", rows)
    with open(tmp_path / "t.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert found[0] == {"name": "a,b", "p.cat": "0.25", "p.dog": "0.75"}
    assert len(found) == 2
