"""What the documentation site needs beyond mkdocs: pages from elsewhere in the repository, and the command reference.

Documents stay where a reader of the repository, or of the wheel, looks for them: SPEC.md beside the C runtime,
README.md beside the data sources. ``INCLUDED`` names the page that each of them becomes. Links between documents are
written for the repository; ``on_page_markdown`` turns them into links between pages. A link to a source file, which has
no page, becomes its text. A link to a file that does not exist stays as it is, and ``mkdocs build --strict`` refuses
it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
COMMANDS_PAGE = "reference/commands.md"
INCLUDED = {
    "reference/data-sources.md": "datasets/README.md",
    "reference/SPEC.md": "firmware_export/SPEC.md",
    "reference/KERNELS.md": "firmware_export/KERNELS.md",
    "reference/MISRA.md": "firmware_export/MISRA.md",
    "data/car_states.md": "datasets/car_states.md",
    "data/hapt.md": "datasets/hapt.md",
    "data/road_surface_tartu.md": "datasets/road_surface_tartu.md",
    "data/fan_vibration.md": "datasets/fan_vibration.md",
    "data/recipes.md": "datasets/recipes/README.md",
    "data/research.md": "datasets/research/README.md",
    "project/DESIGN.md": "DESIGN.md",
    "project/CONTRIBUTING.md": "CONTRIBUTING.md",
    "project/fuzzing.md": "tests/fuzz/README.md",
    "project/CHANGELOG.md": "CHANGELOG.md",
}
# `[text](target)` and `![text](target)`; targets of this project's documents hold no blanks and no parentheses.
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


# ------------------------------------------------------------------------------------------------------------- events


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in ``docs``."""
    from mkdocs.structure.files import File

    for page, source in INCLUDED.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, COMMANDS_PAGE, content=command_reference()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    return link_pages(markdown, page.file.src_uri)


# -------------------------------------------------------------------------------------------------------------- links


def link_pages(markdown: str, page: str) -> str:
    """The text of a document as the text of its page.

    Args:
        markdown: text whose links are relative to the document's place in the repository.
        page: page that the document becomes, relative to ``docs``.

    >>> link_pages("See [SPEC.md](firmware_export/SPEC.md#part-2-the-wire).", "project/DESIGN.md")
    'See [SPEC.md](../reference/SPEC.md#part-2-the-wire).'
    >>> link_pages("See [es_wire.h](firmware_export/runtime/wire/es_wire.h).", "project/DESIGN.md")
    'See es_wire.h.'
    """
    source = INCLUDED.get(page, f"docs/{page}")
    pages = {document: name for name, document in INCLUDED.items()}

    def replace(match: re.Match[str]) -> str:
        is_image, text, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or ":" in path:
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        in_docs = file.removeprefix("docs/")
        name = pages.get(file) or (in_docs if in_docs != file else None)
        if name is None:
            return text if (ROOT / file).exists() else match[0]
        link = posixpath.relpath(name, posixpath.dirname(page) or ".")
        return f"{is_image}[{text}]({link}{'#' + anchor if anchor else ''})"

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(replace, part) for part in parts)


# ----------------------------------------------------------------------------------------------------------- commands


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of ``edge-seq`` with its full name, groups left out."""
    import typer.main

    from edge_seq.cli.app import app

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            for child in inner.values():
                yield from walk(f"{name} {child.name}", child)

    yield from walk("edge-seq", typer.main.get_command(app))


def command_reference() -> str:
    """Markdown of the command reference, made from the commands themselves."""
    sections = [_command_section(name, command) for name, command in commands() if not command.hidden]
    return (
        "# Commands\n\n"
        "This page is made from the commands. `edge-seq COMMAND --help` prints the same. `--json` prints the result as "
        "JSON on standard output; progress, warnings and errors go to standard error. Exit codes: 0, the result holds; "
        "1, a check failed; 2, wrong use or unusable input; 70, a defect of the program; 130, interrupted.\n\n"
        + "\n".join(sections)
    )


def _command_section(name: str, command: Any) -> str:
    parameters = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    options = [one for one in parameters if one.param_type_name != "argument"]
    usage = " ".join([name, *("[OPTIONS]" for _ in options[:1]), *map(_argument, arguments)])
    lines = [f"## {name}", "", "```text", usage, "```", "", *_help_lines(command.help or ""), ""]
    if parameters:
        lines += ["| option | meaning | default |", "|---|---|---|"]
        lines += [f"| {_names(one)} | {_meaning(one)} | {_default(one)} |" for one in [*arguments, *options]]
        lines.append("")
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_argument(parameter)}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return f"{names} (required)" if parameter.required else names


def _meaning(parameter: Any) -> str:
    text = parameter.help or ""
    says_so = re.search(r"repeat|again|several", text) is not None
    return _cell(f"{text} May be repeated." if getattr(parameter, "multiple", False) and not says_so else text)


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or parameter.required or callable(value) or value in ([], ()):
        return ""
    return "on" if value is True else f"`{value}`"


def _cell(text: str) -> str:
    return _escape(text).replace("|", "\\|").replace("\n", " ")


def _escape(text: str) -> str:
    """Text in which ``*``, ``_`` and ``<`` mean themselves, outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[])", r"\\\1", part) for part in parts)


def _help_lines(text: str) -> Iterator[str]:
    """Paragraphs of a command's help; each `Example: ...` becomes a block of its own."""
    text = text.replace("\f", "")
    for paragraph in re.split(r"\n\s*\n", text):
        joined = " ".join(paragraph.split())
        prose, *examples = re.split(r"\s*Example: ", joined)
        if prose:
            yield from (_escape(prose), "")
        for example in examples:
            yield from ("```sh", example, "```", "")
