from __future__ import annotations

import logging
import subprocess
import sys

import click
import pytest

from harness.cli import harness
from harness.version import __version__

COMMANDS = [
    ("run",), ("evaluate",), ("list",), ("show",), ("plugins",), ("runs",), ("runs", "list"), ("runs", "clean"), ("prepare",),
    ("leaderboard",), ("leaderboard", "build"), ("leaderboard", "check"),
]  # fmt: skip


def command_at(path):
    command = harness
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_of_the_contract_has_help(cli, path):
    answer = cli(*path, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: harness {' '.join(path)} ")
    assert answer.err == ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_flag_says_what_it_does(path):
    command = command_at(path)
    assert command.help
    assert [parameter.name for parameter in command.params if isinstance(parameter, click.Option) and not parameter.help] == []


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in (("runs",), ("leaderboard",), ("leaderboard", "build"))])
def test_every_command_that_answers_can_answer_in_json(path):
    assert "--json" in [flag for parameter in command_at(path).params for flag in parameter.opts]


def test_short_help_is_help(cli):
    assert cli("-h").out == cli("--help").out


def test_version(cli):
    assert cli("--version").out == f"harness, version {__version__}\n"


def test_no_command_shows_the_commands(cli):
    answer = cli()
    assert answer.code == 2
    assert "leaderboard" in answer.err


def test_a_misspelt_command_is_refused_with_the_nearest(cli):
    answer = cli("runn")
    assert answer.code == 2
    assert "No such command 'runn'" in answer.sentence


def fail(*arguments):
    return 1 / 0


def test_the_traceback_of_a_failed_cell_is_in_its_record_and_not_on_the_screen(cli, monkeypatch):
    monkeypatch.setattr("harness_baselines.autoencoder.build", fail)
    answer = cli(*cli.ae, "--no-references")  # which looks for tracebacks
    assert answer.code == 1
    assert "failed: ae on digits, seed 0, knn on y: division by zero" in answer.err


def test_verbose_adds_the_traceback_of_a_failed_cell(cli, monkeypatch, caplog):
    monkeypatch.setattr("harness_baselines.autoencoder.build", fail)
    with caplog.at_level(logging.INFO, logger="harness"):
        cli("-v", *cli.ae, "--no-references")
    assert "ZeroDivisionError: division by zero" in caplog.text


@pytest.fixture
def handler(cli, monkeypatch):
    """The log handler that the command line installs, by its first arguments."""

    def installed_by(*arguments):
        given = {}
        monkeypatch.setattr(logging, "basicConfig", lambda **keywords: given.update(keywords))
        cli(*arguments, "plugins")
        return given["handlers"][0]

    return installed_by


def test_logs_go_to_stderr(handler):
    assert handler().stream is sys.stderr


@pytest.mark.parametrize(("flags", "shown"), [((), False), (("-v",), True)])
def test_a_logged_traceback_is_shown_on_request_only(handler, flags, shown):
    try:
        fail()
    except ZeroDivisionError:
        record = logging.LogRecord("harness", logging.WARNING, "", 0, "An observer raised.", (), sys.exc_info())
    text = handler(*flags).format(record)
    assert text.startswith("WARNING: An observer raised.")
    assert ("Traceback" in text) == shown


def test_a_reader_that_goes_away_gets_no_complaint():
    script = [sys.executable, "-c", "from harness.cli import main; main(['list'])"]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == b""
