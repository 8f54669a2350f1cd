"""What the pages say is there."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

from memberhouse import cli


@pytest.fixture(scope="session")
def pages(root: Path, project_files: list[Path]) -> dict[Path, str]:
    """Every Markdown page of the project with its text."""
    found = {path: (root / path).read_text(encoding="utf-8") for path in project_files if path.suffix == ".md"}
    assert {Path("README.md"), Path("README.zh-CN.md"), Path("docs/runbook.md")} <= set(found)
    return found


def anchor(heading: str) -> str:
    """The link target that a heading gets on the usual code hosts."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(text: str) -> list[str]:
    return re.findall(r"^#{1,6} (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.MULTILINE)


def broken_links(page: Path, text: str, root: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    broken = []
    for link in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)", text):
        target = link[0] or link[1]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (root / page).parent / name if name else root / page
        if not file.exists():
            broken.append(target)
        elif fragment and file.suffix == ".md":
            there = {anchor(heading) for heading in headings(file.read_text(encoding="utf-8"))}
            if fragment not in there:
                broken.append(target)
    return broken


def test_every_link_leads_somewhere(root: Path, pages: dict[Path, str]) -> None:
    assert {page: bad for page, text in pages.items() if (bad := broken_links(page, text, root))} == {}


@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](README.md#nowhere)", "![a](docs/nowhere.svg)"])
def test_a_broken_link_is_seen(root: Path, link: str) -> None:
    assert broken_links(Path("README.md"), link, root) != []


def spoken_commands(text: str, program: str) -> set[str]:
    """The sub-commands of a program that a page tells a reader to type, in code spans and code blocks."""
    code = re.findall(r"```[a-z]*\n(.*?)```", text, re.S) + re.findall(r"`([^`\n]+)`", text)
    return {name for piece in code for name in re.findall(rf"(?:^|[\s(;&]){program} ([a-z][a-z-]*)", piece)}


def test_every_make_command_on_a_page_is_a_target(root: Path, pages: dict[Path, str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    said = set().union(*(spoken_commands(text, "make") for text in pages.values()))
    assert {"demo", "test", "check"} <= said
    assert said - targets == set()


def test_every_memberhouse_command_on_a_page_exists(pages: dict[Path, str]) -> None:
    said = set().union(*(spoken_commands(text, "memberhouse") for text in pages.values()))
    assert {"status", "query", "run"} <= said
    assert said - set(cli.cli.commands) == set()


def test_a_command_that_is_not_there_is_seen() -> None:
    assert spoken_commands("type `make coffee`", "make") == {"coffee"}
    assert spoken_commands("```bash\ncd x && memberhouse fly --fast\n```", "memberhouse") == {"fly"}


def test_the_changelog_has_this_version(root: Path) -> None:
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {metadata.version('memberhouse')}" in changelog


def test_both_readmes_have_the_same_shape(pages: dict[Path, str]) -> None:
    english, chinese = pages[Path("README.md")], pages[Path("README.zh-CN.md")]
    assert len(headings(english)) == len(headings(chinese))
    for program in ("make", "memberhouse"):
        assert spoken_commands(english, program) == spoken_commands(chinese, program)


def test_every_heading_of_the_runbook_that_an_error_names_is_there(
    root: Path, project_files: list[Path], pages: dict[Path, str]
) -> None:
    there = set(headings(pages[Path("docs/runbook.md")]))
    named = {
        re.sub(r"\s+", " ", heading)
        for path in project_files
        if path.parts[0] in {"src", "dags"} and path.suffix == ".py"
        for heading in re.findall(r"runbook\.md,? [“\"'](.+?)[”\"']", (root / path).read_text(encoding="utf-8"))
    }
    assert named
    assert named - there == set()
