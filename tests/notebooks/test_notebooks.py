"""The notebooks run from top to bottom on a published warehouse and are kept without their outputs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from memberhouse.settings import PROJECT_ROOT, Settings

NOTEBOOKS = sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_the_published_schema_is_read(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "db.as_bi_role(" in code
    read = set(re.findall(r"\b(?:from|join) ([a-z_]+)\.[a-z_]+", code)) - {"memberhouse"}
    assert read == {"bi"}


@pytest.mark.services
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_pictures(path: Path, published_sample: Settings, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    warehouse = {
        "DATABASE_URL": str(published_sample.database_url),
        "MEMBERHOUSE_HOME": str(published_sample.home),
        "IPYTHONDIR": str(tmp_path),
    }
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute(
        env=os.environ | warehouse
    )
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pictures = [str(data["image/svg+xml"]) for data in shown if "image/svg+xml" in data]
    assert len(pictures) >= 2
    # an empty warehouse draws empty frames: every one of these has bars in it
    assert all(picture.count('aria-roledescription="bar"') >= 2 for picture in pictures)
    assert not any("nan" in data.get("text/plain", "").lower() for data in shown)
