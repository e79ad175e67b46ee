"""The documents tell the truth: commands, files, links, settings and exit codes in them exist."""

import functools
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.architecture.source import ROOT, documents
from worker.cli import app
from worker.errors import ExitCode
from worker.settings import load_settings
from worker.settings.reference import configuration_page

FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
INDENTED = re.compile(r"^(?: {4,}|\t)(\S.*)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TREE = re.compile(r"^((?:worker|tests|docs|schemas|examples|k8s|bench|observability|\.ci)/[\w./-]+?)(?:::(\w+))?$")
VERBS = frozenset(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

every_document = pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))


def code_in(text: str) -> Iterator[str]:
    """Lines of code blocks, fenced or indented, and what stands between backticks; continued lines are joined."""
    joined = text.replace("\\\n", " ")
    for block in FENCED.findall(joined):
        yield from block.splitlines()
    prose = FENCED.sub("", joined)
    yield from INDENTED.findall(prose)
    yield from INLINE.findall(prose)


def words_after(program: str, code: str) -> list[list[str]]:
    """The words that follow each call of a program in a line of shell, to the end of that call."""
    found = []
    for match in re.finditer(rf"(?:^|[\s(/]){re.escape(program)}(?=\s|$)", code):
        call = re.split(r"[|;&)]|\s#|\s{2,}(?=[a-z])", code[match.end() :].lstrip())[0]
        try:
            found.append(shlex.split(call))
        except ValueError:  # prose with an apostrophe in it
            found.append(call.split())
    return found


@functools.cache
def program() -> Any:
    return typer.main.get_command(app)


def unknown_in(words: list[str]) -> list[str]:
    """Sub-commands and options that the program does not know; a word is a sub-command while groups last."""
    command = program()
    unknown = []
    for word in words:
        below = getattr(command, "commands", None)
        if word.startswith("--"):
            names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.partition("=")[0] not in names | {"--help", "--version"}:
                unknown.append(word)
        elif below is not None:
            # `dlq list|show` names several.
            unknown.extend(name for name in word.split("|") if name not in below)
            command = below.get(word.split("|")[0], command)
            if unknown:
                break
    return unknown


@every_document
def test_make_verbs_exist(path: Path) -> None:
    """Every `make X` in a document is a verb of the Makefile."""
    calls = [words for code in code_in(path.read_text("utf-8")) for words in words_after("make", code)]
    verbs = {word for words in calls for word in words if re.fullmatch(r"[a-z][a-z0-9-]*", word)}
    assert verbs <= VERBS


@every_document
def test_commands_exist(path: Path) -> None:
    """Every `prediction-worker X --y` in a document is a command with that option."""
    calls = [w for code in code_in(path.read_text("utf-8")) for w in words_after("prediction-worker", code)]
    assert [(" ".join(words), unknown) for words in calls if (unknown := unknown_in(words))] == []


@every_document
def test_modules_exist(path: Path) -> None:
    """Every `python -m X` in a document is a module."""
    calls = [words for code in code_in(path.read_text("utf-8")) for words in words_after("python -m", code)]
    names = {words[0] for words in calls if words and not words[0].startswith("<")}
    assert [name for name in names if importlib.util.find_spec(name) is None] == []


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    """Every link within the project leads to a file and, where it names one, to a heading."""
    text = FENCED.sub("", path.read_text("utf-8"))
    targets = [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    assert [target for target in targets if not leads_somewhere(path, target)] == []


def leads_somewhere(path: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = path.parent / name if name else path
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file.read_text("utf-8"))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_files_named_exist(path: Path) -> None:
    """Every path of the tree that a document names between backticks is there, and every test within it."""
    named = {match for code in INLINE.findall(path.read_text("utf-8")) if (match := TREE.match(code))}
    assert sorted(match[0] for match in named if not is_there(*match.groups())) == []


def is_there(name: str, test: str | None) -> bool:
    """``test`` is the name of a test function in the file, or the beginning of the names of several."""
    path = ROOT / name
    return path.exists() and (test is None or f"def {test}" in path.read_text("utf-8"))


def test_the_readme_shows_settings_that_load(tmp_path: Path) -> None:
    """The settings in README.md are a file that the worker takes."""
    (shown,) = re.findall(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "worker.toml").write_text(shown, "utf-8")
    assert load_settings(tmp_path / "worker.toml", {}).delivery.mode == "exactly-once"


def test_settings_are_documented() -> None:
    """docs/configuration.md is what the settings say of themselves; `python -m worker.settings.reference` writes it."""
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == configuration_page()


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_exit_codes_are_documented(code: ExitCode) -> None:
    """Every exit code has a row of a table in docs/guarantees.md."""
    guarantees = (ROOT / "docs/guarantees.md").read_text("utf-8")
    assert re.search(rf"^\| *`?{code.value}`? *\|", guarantees, re.MULTILINE)


def test_decisions_are_indexed() -> None:
    """docs/adr/README.md links every decision, numbers are consecutive, and each is one page."""
    decisions = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    index = (ROOT / "docs/adr/README.md").read_text("utf-8")
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    assert [path.name for path in decisions if f"({path.name})" not in index] == []


def test_the_reading_of_documents_finds_mistakes() -> None:
    """The parser of these tests is one that can fail."""
    text = "Run `make nonsense` or\n\n    prediction-worker dlq shew --x  look\n\n```\nprediction-worker run --jobs 2 | cat\n```\n"
    assert [w for code in code_in(text) for w in words_after("make", code)] == [["nonsense"]]
    calls = [w for code in code_in(text) for w in words_after("prediction-worker", code)]
    assert sorted(word for words in calls for word in unknown_in(words)) == ["--jobs", "shew"]
    assert unknown_in(["dlq", "list|show"]) == unknown_in(["demo", "--no-crash"]) == []
    assert not leads_somewhere(ROOT / "README.md", "docs/nowhere.md")
