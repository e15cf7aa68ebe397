"""Telling a forked child from its parent, for less than a system call."""

from __future__ import annotations

import os

count = 0
"""How many forks lie between the process that loaded this module and this one."""


def _note_fork() -> None:
    global count
    count += 1


os.register_at_fork(after_in_child=_note_fork)
