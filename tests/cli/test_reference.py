"""docs/reference/cli.md tells of every command, option and exit code."""

from __future__ import annotations

import re

import click
import pytest

from stratalog.cli.app import COMMANDS, app
from stratalog.eventlog.errors import CODES
from tests.cli.small_store import PROJECT

PAGE = (PROJECT / "docs/reference/cli.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_stands_in_the_reference(name: str) -> None:
    with click.Context(app) as context:
        command = app.get_command(context, name)
    assert command is not None
    text = SECTIONS[name]

    assert f"`stratalog {name}" in text
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            for word in parameter.opts:
                assert f"`{word}" in text, f"{name} {word}"


def test_every_option_that_the_reference_names_exists() -> None:
    for name in COMMANDS:
        with click.Context(app) as context:
            command = app.get_command(context, name)
        assert command is not None
        known = {word for parameter in command.params for word in parameter.opts}
        assert set(re.findall(r"`(--[a-z_-]+)", SECTIONS[name])) <= known, name


def test_options_of_the_program_and_exit_codes_stand_in_the_reference() -> None:
    for parameter in app.params:
        assert f"`{parameter.opts[0]}`" in PAGE
    for info in CODES.values():
        assert f"| {info.exit_code} | `{info.error_class.__name__}`" in SECTIONS["Exit codes"]
