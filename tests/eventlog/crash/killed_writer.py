"""A process that commits until it is killed, and tells on its standard output what was acknowledged.

Arguments: the store's folder, the number of this process, its seed.
"""

from __future__ import annotations

import os
import random
import sys
import threading

from stratalog.eventlog.errors import StorageError
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.stores.local import LocalLog
from tests.eventlog.records import make_record

SETTINGS = LogSettings(
    rotate_bytes=100_000, rotate_events=300, direct_segment_bytes=60_000, grow_bytes=8192, merge_count=3, grace_s=0.3
)


def main(path: str, process: int, seed: int) -> None:
    rng = random.Random(seed)
    log = LocalLog(path, settings=SETTINGS)
    if process % 4 == 0:
        threading.Thread(target=keep_up, args=(log,), daemon=True).start()
    number, known, end_seq = process << 32, 0, 1
    while True:
        with log.exclusive():
            at = log.head()
            for record in log.read(known):
                end_seq = record.end_seq
            records = []
            for commit in range(at, at + rng.choice((1, 1, 3))):
                size = rng.choice((10, 100, 1000, 5000))
                events = 100 if rng.random() < 0.01 else 1
                records.append(make_record(commit, end_seq, number=number, size=size, events=events))
                end_seq = records[-1].end_seq
                number += 1
            log.append(at, records)
            known = at + len(records)
        log.sync()
        lines = "".join(f"{r.header.commit} {r.header.writer_seq}\n" for r in records)
        os.write(1, lines.encode())


def keep_up(log: LocalLog) -> None:
    while True:
        try:
            log.seal(rotate=False)
            log.merge()
            log.sweep()
        except StorageError:
            continue


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
