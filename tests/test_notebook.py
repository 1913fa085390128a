"""The notebook of the docs runs from its first cell to its last, and its results look like something."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorials" / "classifier.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_cell_runs(tmp_path, monkeypatch):
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = [set(output.get("data", {})) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("text/html" in kind for kind in kinds) >= 3
    assert sum("image/png" in kind for kind in kinds) >= 4
    # Nothing is printed unasked, and nothing is written.
    assert all(output.output_type == "execute_result" for cell in notebook.cells for output in cell.get("outputs", []))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ipython"]
