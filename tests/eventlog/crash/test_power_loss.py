"""Whatever happens to the disk and the processes: what was acknowledged stays, and nothing else appears."""

from __future__ import annotations

import pytest

from tests.eventlog.crash import mutants
from tests.eventlog.crash.simulation import FailingSyncs, ManyKills, Meddling, Simulation, ViolationError, lives

SOONEST: dict[mutants.Mutant, type[Simulation]] = {
    mutants.the_doubtful_end_is_not_written_again: FailingSyncs,
    mutants.a_failed_writer_goes_on: FailingSyncs,
    mutants.no_sync_of_the_folder_on_first_use: ManyKills,
    mutants.readers_do_not_list_again: Meddling,
}
"""The sort of lives that shows a mutant soonest, where it is not the general one."""


@pytest.mark.parametrize("begin", range(0, 80, 20))
def test_acknowledged_commits_survive_power_losses_kills_and_failures(begin: int) -> None:
    happened = lives(range(begin, begin + 20))

    assert happened["commits"] > 300
    assert min(happened[what] for what in ("losses", "kills", "failures", "seals", "merges", "reads")) > 0


@pytest.mark.parametrize("sort", [FailingSyncs, ManyKills, Meddling])
def test_acknowledged_commits_survive_bad_times(sort: type[Simulation]) -> None:
    happened = lives(range(25), sort)

    assert happened["commits"] > 200


@pytest.mark.slow
@pytest.mark.parametrize("sort", [Simulation, FailingSyncs, ManyKills, Meddling])
@pytest.mark.parametrize("begin", range(10_000, 15_000, 500))
def test_acknowledged_commits_survive_thousands_of_lives(begin: int, sort: type[Simulation]) -> None:
    happened = lives(range(begin, begin + 200), sort)

    assert happened["commits"] > 2000


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_precaution_is_needed(mutant: mutants.Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)

    with pytest.raises(ViolationError):
        lives(range(400), SOONEST.get(mutant, Simulation))
