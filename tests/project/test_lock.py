"""requirements.lock: every package pinned by version and hash, from no particular address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest


def requirements(lock: str) -> list[str]:
    """The lock's entries, each with its continuation lines, without comments."""
    text = re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def faults(lock: str) -> list[str]:
    """What is wrong with a lock, a sentence each."""
    found = [f"an address: {address}" for address in re.findall(r"\S*(?:://|\.whl|\.tar\.gz)\S*", lock)]
    for entry in requirements(lock):
        if entry.startswith("-"):
            found.append(f"an option of the installer: {entry}")
        elif not re.match(r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^ ;]+", entry):
            found.append(f"not pinned: {entry[:80]}")
        elif not re.search(r"--hash=sha256:[0-9a-f]{64}(\s|$)", entry):
            found.append(f"no hash: {entry[:80]}")
    return found


@pytest.fixture(scope="module")
def lock(root: Path) -> str:
    return (root / "requirements.lock").read_text(encoding="utf-8")


def test_everything_is_pinned_and_hashed_and_no_address_is_named(lock: str) -> None:
    assert len(requirements(lock)) > 100
    assert faults(lock) == []


@pytest.mark.parametrize(
    ("bad_line", "fault"),
    [
        ("pandas>=3 \\\n    --hash=sha256:" + "0" * 64, "not pinned"),
        ("pandas==3.1.1", "no hash"),
        ("pandas==3.1.1 \\\n    --hash=sha256:abc", "no hash"),
        ("--index-url https://mirror.example/simple", "an address"),
        ("--extra-index-url mirror", "an option of the installer"),
        ("pandas @ https://mirror.example/pandas-3.1.1.whl", "an address"),
    ],
)
def test_a_bad_line_is_seen(lock: str, bad_line: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(f"{lock}{bad_line}\n"))


def test_what_the_project_asks_for_is_locked(root: Path, lock: str) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    locked = {entry.split("==")[0].split("[")[0] for entry in requirements(lock)}
    names = {re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names - locked == set()


def test_make_can_take_the_installer_out_of_the_lock(lock: str) -> None:
    own = re.search(r"^uv==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", lock, re.MULTILINE)
    assert own is not None
