"""The manual against the code."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import shlex
import sys
from pathlib import Path

import click
import msgspec
import pytest

from harness.api import installed
from harness.cli import harness
from harness.contracts.hookspecs import HookSpecs
from harness.contracts.training import TrainOptions
from harness.line.suites import Suite, SuiteRun

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("plugins/*/*.md"), *ROOT.glob("benchmarks/*.md")])


@pytest.fixture(scope="module")
def generate():
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_generate"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["docs_generate"]


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------- generated parts


GENERATED = [page for page in PAGES if "<!-- generated: " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(generate, page):
    assert page.read_text(encoding="utf-8") == generate.page(os.path.relpath(page, DOCS)), "run `python docs/generate.py`"


def test_every_generated_part_has_its_place(generate):
    assert {(DOCS / name).resolve() for name in generate.PARTS} == set(GENERATED)


# -------------------------------------------------------------------------------------------------------- hooks

HOOKS = {name: function for name, function in vars(HookSpecs).items() if name.startswith("harness_")}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_manual_with_its_exact_arguments(hook):
    (arguments,) = re.findall(rf"^def {hook}\((.*)\) -> .*: \.\.\.$", text_of("hooks.md"), re.MULTILINE)
    named = [argument.split(":")[0] for argument in re.split(r", (?=\w+:)", arguments) if argument]
    assert named == [name for name in inspect.signature(HOOKS[hook]).parameters if name != "self"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_argument_of_a_hook_is_explained(hook):
    _, _, section = text_of("hooks.md").partition(f"### {hook}\n")
    section = section.partition("\n### ")[0]
    assert [name for name in inspect.signature(HOOKS[hook]).parameters if name != "self" and f"- `{name}`: " not in section] == []


# ------------------------------------------------------------------------------------------------- command line


def commands(command=harness, path="harness"):
    """(path, command) of every command and group."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")


def flags_of(command):
    return [flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts) if flag.startswith("-")]


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_is_in_the_manual_with_all_its_flags(path, command):
    _, found, section = text_of("cli.md").partition(f"### {path}\n")
    assert found
    section = section.partition("\n### ")[0]
    assert [flag for flag in flags_of(command) if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", section)] == []


def test_every_environment_variable_is_in_the_manual():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "harness").rglob("*.py"))
    assert set(re.findall(r"\bHARNESS_[A-Z]+\b", text_of("cli.md"))) == set(re.findall(r"\"(HARNESS_[A-Z]+)\"", code))


@pytest.mark.parametrize("field", msgspec.structs.fields(TrainOptions), ids=lambda field: field.name)
def test_every_option_of_the_trainer_is_in_the_manual(field):
    assert f"`{field.name}`" in text_of("cli.md")


@pytest.mark.parametrize(
    "name", sorted({field.name for struct in (Suite, SuiteRun) for field in msgspec.structs.fields(struct)} - {"runs"})
)
def test_every_key_of_a_suite_is_in_the_manual(name):
    _, _, section = text_of("cli.md").partition("\n## Suites\n")
    assert re.search(rf"`{name}`|^{name} = ", section.partition("\n## ")[0], re.MULTILINE)


def test_the_suite_in_the_manual_is_one(tmp_path):
    from harness.line.planning import plan
    from harness.line.suites import plan_suite, read_suite

    (example,) = re.findall(r"```toml\n(.*?)```", text_of("cli.md"), re.DOTALL)
    (tmp_path / "example.toml").write_text(example)
    catalog = installed()[1]
    plans = [plan(request, catalog) for request in plan_suite(read_suite(str(tmp_path / "example.toml"), catalog))]
    assert [len([run for run in each.runs if not run.reference]) for each in plans] == [5, 5]


# -------------------------------------------------------------------------------- what the pages tell people to type


def typed():
    """(page, words after `harness`) of every command in a shell block of a page."""
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in re.split(r"\n|&&|\|", block.replace("\\\n", " ")):
                words = shlex.split(line, comments=True)
                if words[:1] == ["harness"]:
                    yield page.relative_to(ROOT).as_posix(), " ".join(words[1:])


@pytest.mark.parametrize(("page", "line"), sorted(set(typed())))
def test_what_a_page_tells_to_type_exists(page, line):
    words = line.split()
    command = harness
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    assert [word for word in words if word.startswith("-") and word not in [*flags_of(command), "--help", "-h"]] == []


@pytest.mark.parametrize(("page", "line"), sorted({(page, line) for page, line in typed() if re.search("--(method|data) ", line)}))
def test_the_parts_that_a_page_names_exist_and_fit(page, line):
    from harness.line.planning import Request, plan

    values = dict(re.findall(r"--(method|data|evaluators|features|budget) (\S+)", line))
    lists = {key: tuple(values[key].split(",")) for key in ("evaluators", "features") if key in values}
    options = tuple(re.findall(r"-o (\S+)", line))
    plan(Request(**(values | lists), options=options), installed()[1])


@pytest.mark.parametrize("name", sorted({name for _, line in typed() for name in re.findall(r"--suite ([\w-]+)$", line)}))
def test_the_suites_that_pages_name_are_installed(name):
    installed()[1].suite(name)


def links():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                yield page.relative_to(ROOT).as_posix(), target


@pytest.mark.parametrize(("page", "target"), sorted(set(links())))
def test_links_between_pages_lead_somewhere(page, target):
    assert (ROOT / page).parent.joinpath(target).exists()
