"""Progress on stderr: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LABELS = {
    "database": "Starting the database",
    "engine": "Starting the state machines",
    "scan": "Asking the sources what is rising",
    "rank": "Merging and ranking",
    "plan": "Choosing what to make",
    "brief": "Writing the script",
    "approval": "Asking the CFO",
    "voice": "Speaking",
    "pictures": "Painting",
    "render": "Rendering",
    "inspect": "Measuring the file",
    "judge": "Judging",
    "settle": "Settling the cost",
    "review": "Waiting for a person",
    "publish": "Publishing",
}


class StageProgress:
    """Shows stages as they start and end; `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal and not quiet
        self._quiet = quiet
        self._tasks: dict[str, TaskID] = {}
        self._done: set[str] = set()
        self._started = time.monotonic()
        self._shown: dict[str, int] = {}
        self._bar = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:34}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self._console,
        )

    def __enter__(self) -> StageProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bar.stop()

    def note(self, text: str) -> None:
        """A line beside the progress."""
        if self._live:
            self._bar.console.print(text, style="dim")
        elif not self._quiet:
            sys.stderr.write(f"{text}\n")

    def update(self, stage: str, *, part: float | None = None, note: str = "") -> None:
        """The stage runs; `part` 0–1 where it is known."""
        if self._quiet or stage in self._done:
            return
        label = LABELS.get(stage, stage)
        if self._live:
            if stage not in self._tasks:
                self._tasks[stage] = self._bar.add_task(label, total=None, note=note)
            if part is not None:
                self._bar.update(self._tasks[stage], total=1.0, completed=part, note=note)
        else:
            if part is None and stage in self._shown:
                return
            step = int((part or 0) * 4)
            if self._shown.get(stage, -1) < step:
                self._shown[stage] = step
                shown = f" {part:.0%}" if part and step else ""
                sys.stderr.write(f"[{time.monotonic() - self._started:6.1f}s] {label}{shown}\n")
                sys.stderr.flush()

    def done(self, stage: str, *, note: str = "") -> None:
        """The stage has ended."""
        if self._quiet or stage in self._done:
            return
        self.update(stage, note=note)
        self._done.add(stage)
        if self._live:
            self._bar.update(self._tasks[stage], total=1.0, completed=1.0, note=note)
            self._bar.stop_task(self._tasks[stage])
