"""The documents: their links lead somewhere, their commands exist, the command reference has every command."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")
PARENTS = ("data", "device")


def _module(name: str) -> ModuleType:
    """A module of the documentation's build."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = _module("hooks")
COMMANDS: dict[str, Any] = dict(HOOKS.commands())


def _documents() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    found = [ROOT / name for name in listed.stdout.splitlines()]
    return [path for path in found if path.is_file()] or sorted((ROOT / "docs").rglob("*.md"))


DOCUMENTS = _documents()


def anchors(text: str) -> set[str]:
    """Anchors of a document's headings, as the common viewers of Markdown make them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    page = path.relative_to(ROOT / "docs").as_posix() if path.is_relative_to(ROOT / "docs") else ""
    generated = {HOOKS.COMMANDS_PAGE}
    for target in LINK.findall(text):
        if ":" in target:
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if page and (Path(page).parent / name).as_posix() in generated:
            continue
        assert file.exists(), f"{path.name}: {target} leads nowhere"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{path.name}: {target} has no such heading"


def command_lines(text: str) -> list[str]:
    """Every ``edge-seq ...`` of a document: lines of shell blocks, and code within sentences."""
    lines = []
    for shell in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines += [line.strip() for line in shell.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    found = [re.split(r"&&|\||;", line.partition("edge-seq ")[2])[0] for line in lines if "edge-seq " in line]
    return [line for line in found if line.strip() and not re.match(r"[A-Z]", line)]


def unknown_in(line: str) -> str:
    """What a command line names that ``edge-seq`` does not have; empty where it has all."""
    words = shlex.split(line, comments=True)
    size = 2 if words[0] in PARENTS else 1
    command = COMMANDS.get(f"edge-seq {' '.join(words[:size])}")
    if command is None:
        return "" if words[0].startswith("-") or len(words) < size else f"command {' '.join(words[:size])}"
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    used = [word.partition("=")[0] for word in words[size:] if re.match(r"--?[a-z]", word)]
    missing = [name for name in used if name not in options | {"--help", "-h"}]
    return f"options {missing} of {' '.join(words[:size])}" if missing else ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_options_exist(path: Path) -> None:
    unknown = {line: unknown_in(line) for line in command_lines(path.read_text(encoding="utf-8"))}
    assert {line: what for line, what in unknown.items() if what} == {}


def test_a_command_that_does_not_exist_is_found() -> None:
    text = "`edge-seq fly run`\n\n```sh\nedge-seq verify run --targets cortex_m4\nedge-seq data check x.csv\n```\n"
    found = [unknown_in(line) for line in command_lines(text)]
    assert sorted(found) == ["", "command fly", "options ['--targets'] of verify"]


def test_the_command_reference_has_every_command_and_option() -> None:
    assert {"edge-seq train", "edge-seq data check", "edge-seq device ping"} <= set(COMMANDS)
    sections = dict(re.findall(r"^## (edge-seq [^\n]+)\n(.*?)(?=^## |\Z)", HOOKS.command_reference(), re.M | re.S))
    shown = {name: command for name, command in COMMANDS.items() if not command.hidden}
    assert set(sections) == set(shown)
    for name, command in shown.items():
        assert len(sections[name].split("```")[2].split()) > 3, f"{name} says nothing of what it does"
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                assert "| `" in sections[name]
            elif parameter.name != "help":
                assert all(f"`{option}`" in sections[name] for option in parameter.opts), (name, parameter.name)


@pytest.mark.parametrize(
    ("markdown", "page", "expected"),
    [
        ("[S](firmware_export/SPEC.md#a)", "project/DESIGN.md", "[S](../reference/SPEC.md#a)"),
        ("[S](../firmware_export/SPEC.md)", "concepts.md", "[S](reference/SPEC.md)"),
        ("[B](../results/BENCH.md)", "how-to/decide.md", "[B](../results/BENCH.md)"),
        ("![L](docs/images/ladder.png)", "project/DESIGN.md", "![L](../images/ladder.png)"),
        ("[w](../../firmware_export/runtime/wire/es_wire.h)", "how-to/decide.md", "w"),
        ("[n](nothing.md)", "concepts.md", "[n](nothing.md)"),
        ("[h](#here) [w](mailto:a@b)", "concepts.md", "[h](#here) [w](mailto:a@b)"),
        ("```c\na[i](DESIGN.md)\n```\n", "project/DESIGN.md", "```c\na[i](DESIGN.md)\n```\n"),
    ],
)
def test_links_between_files_become_links_between_pages(markdown: str, page: str, expected: str) -> None:
    assert HOOKS.link_pages(markdown, page).rstrip() == expected.rstrip()


TOP = ("edge_seq", "firmware_export", "tests", "docs", "datasets", "constraints", ".ci")
PATH = re.compile(rf"(?:{'|'.join(map(re.escape, TOP))})(?:/[\w.*{{}},-]+)+/?")


def named_paths(text: str) -> set[str]:
    """Files and folders of the repository that a text names as code, with ``{a,b}`` written out."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = {code for code in re.findall(r"`([^`<>\s]+)`", prose) if PATH.fullmatch(code)}
    while any("{" in name for name in found):
        for name in [name for name in found if "{" in name]:
            before, choices, after = re.split(r"[{}]", name, maxsplit=2)
            found = (found - {name}) | {before + choice + after for choice in choices.split(",")}
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_are_there(path: Path) -> None:
    named = named_paths(path.read_text(encoding="utf-8"))
    assert sorted(name for name in named if not any(ROOT.glob(name.rstrip("/")))) == []


def test_a_file_that_does_not_exist_is_found() -> None:
    text = (
        "`edge_seq/cli/fly.py`, `firmware_export/runtime/{include,src}`, `edge-seq verify`\n```\n`docs/none.md`\n```\n"
    )
    assert named_paths(text) == {
        "edge_seq/cli/fly.py",
        "firmware_export/runtime/include",
        "firmware_export/runtime/src",
    }
    assert len(named_paths((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))) > 40


def test_the_names_for_contributors_are_those_of_the_code() -> None:
    """Functions, classes and constants that the guide names, such as READERS, exist."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {
        word
        for code in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
        if re.fullmatch(r"[A-Za-z_][\w.]*(\(.*\))?", code)
        for word in re.findall(r"\w+", code.partition("(")[0])
    }
    sources = [path for top in TOP[:3] for path in (ROOT / top).rglob("*.[pch]*") if path.suffix in (".py", ".c", ".h")]
    there = set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    there |= set(re.findall(r"\w+", " ".join(path.name for path in (*sources, *ROOT.iterdir()))))
    assert len(named) > 40
    assert sorted(named - there) == []


def test_every_included_document_is_there() -> None:
    assert [source for source in HOOKS.INCLUDED.values() if not (ROOT / source).is_file()] == []


def test_docstrings_become_markdown() -> None:
    pytest.importorskip("griffe")
    as_markdown = _module("docstrings").as_markdown
    assert as_markdown("See :func:`run` on [K][H], [W, T, C].") == "See `run` on [K]\\[H], [W, T, C]."
    example = "Sum.\n\n    >>> [1][0]\n    1\n\nMore."
    assert as_markdown(example) == "Sum.\n\n    ```pycon\n    >>> [1][0]\n    1\n    ```\n\nMore."
    assert (
        as_markdown("Args:\n    a, b: sides.\n    c: of it.") == "Args:\n    a: see `b`.\n    b: sides.\n    c: of it."
    )


def test_the_api_reference_has_every_public_name_once() -> None:
    import edge_seq

    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: edge_seq\.(\w+)$", page, re.MULTILINE)) == sorted(edge_seq.__all__)


@pytest.mark.parametrize("document", ["DESIGN.md", "docs/images/floors.svg"])
def test_every_folder_of_the_package_has_its_place(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    folders = [path.parent.name for path in (ROOT / "edge_seq").glob("*/__init__.py")]
    assert len(folders) > 10
    assert [name for name in folders if not re.search(rf"\b{name}\b", text)] == []
