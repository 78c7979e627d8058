"""Draws each state machine as an SVG in docs/machines/, from the file itself; `--check` fails if a picture is out of date."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs/machines"
ROW, GAP, PAD, HEIGHT = 46, 26, 18, 34
COLOURS = {
    "Task": ("#e8f1ff", "#2b6cb0"),
    "Choice": ("#fff7e0", "#b7791f"),
    "Map": ("#f3efff", "#6b46c1"),
    "Parallel": ("#f3efff", "#6b46c1"),
    "Wait": ("#eefaf3", "#2f855a"),
    "Pass": ("#f4f4f5", "#71717a"),
    "Succeed": ("#e6fbef", "#22863a"),
    "Fail": ("#ffecec", "#c53030"),
}


@dataclass
class Box:
    """A state with its place; `inner` are the graphs of a Map or Parallel."""

    name: str
    state: dict[str, Any]
    width: float = 0
    height: float = HEIGHT
    x: float = 0
    y: float = 0
    row: int = 0
    inner: list[Graph] = field(default_factory=list)


@dataclass
class Graph:
    """One level of states, laid out."""

    boxes: dict[str, Box]
    width: float
    height: float


def targets(state: dict[str, Any]) -> list[tuple[str, bool]]:
    """Where a state may go next; True for a Catch."""
    found = [(state["Next"], False)] if "Next" in state else []
    found += [(choice["Next"], False) for choice in state.get("Choices", [])]
    found += [(state["Default"], False)] if "Default" in state else []
    found += [(catch["Next"], True) for catch in state.get("Catch", [])]
    return list(dict.fromkeys(found))


def layout(machine: dict[str, Any]) -> Graph:
    """Rows by the longest way from the start that goes along normal edges; what only a Catch reaches comes after it."""
    states = machine["States"]
    boxes = {name: Box(name, state) for name, state in states.items()}
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in seen:
            return
        seen.add(name)
        for target, _ in targets(states[name]):
            if target not in path:
                visit(target, (*path, name))
        order.append(name)

    visit(machine["StartAt"], ())
    order.reverse()
    place = {name: index for index, name in enumerate(order)}
    for name in order:
        for target, _ in targets(states[name]):
            if place[target] > place[name]:
                boxes[target].row = max(boxes[target].row, boxes[name].row + 1)
    for box in boxes.values():
        size(box)
    rows: dict[int, list[Box]] = {}
    for name in order:
        rows.setdefault(boxes[name].row, []).append(boxes[name])
    width = max(sum(b.width for b in row) + GAP * (len(row) - 1) for row in rows.values())
    y = 0.0
    for number in sorted(rows):
        row = rows[number]
        x = (width - sum(b.width for b in row) - GAP * (len(row) - 1)) / 2
        for box in row:
            box.x, box.y = x, y
            x += box.width + GAP
        y += max(b.height for b in row) + ROW
    return Graph(boxes, width, y - ROW)


def size(box: Box) -> None:
    """A box is as wide as its name, or as what is inside it."""
    inner = [*box.state.get("Branches", [])] + [box.state[k] for k in ("ItemProcessor",) if k in box.state]
    box.inner = [layout(machine) for machine in inner]
    caught = "on error: " + ", ".join(name for name, caught in targets(box.state) if caught)
    box.width = max(120.0, 8.2 * len(box.name) + 28, 5.2 * len(caught) + 16)
    if box.inner:
        box.width = max(box.width, sum(g.width for g in box.inner) + PAD * (len(box.inner) + 1))
        box.height = HEIGHT + 4 + max(g.height for g in box.inner) + PAD


def draw(graph: Graph, x: float, y: float, out: list[str]) -> None:
    """Edges first, boxes over them; what a state does on an error stands in its box."""
    for box in graph.boxes.values():
        for target, caught in targets(box.state):
            if not caught:
                edge(box, graph.boxes[target], x, y, graph.width, out)
    for box in graph.boxes.values():
        fill, stroke = COLOURS[box.state["Type"]]
        bx, by, middle = x + box.x, y + box.y, x + box.x + box.width / 2
        title = escape(box.state.get("Comment", box.state["Type"]))
        caught_by = [name for name, caught in targets(box.state) if caught]
        out.append(
            f'<g><title>{title}</title><rect x="{bx:.0f}" y="{by:.0f}" width="{box.width:.0f}"'
            f' height="{box.height:.0f}" rx="7" fill="{fill}" stroke="{stroke}"/>'
            f'<text x="{middle:.0f}" y="{by + (16 if caught_by else 22):.0f}">{escape(box.name)}</text>'
        )
        if caught_by:
            text = "on error: " + ", ".join(caught_by)
            out.append(f'<text x="{middle:.0f}" y="{by + 29:.0f}" class="caught">{escape(text)}</text>')
        out.append("</g>")
        offset = PAD
        for inner in box.inner:
            draw(inner, bx + offset, by + HEIGHT + 4, out)
            offset += inner.width + PAD


def edge(a: Box, b: Box, x: float, y: float, width: float, out: list[str]) -> None:
    """Down to a later row; round the side to an earlier one."""
    ax, ay, bx, by = x + a.x + a.width / 2, y + a.y + a.height, x + b.x + b.width / 2, y + b.y
    if b.row > a.row:
        bend = (by - ay) / 2
        path = f"M{ax:.0f},{ay:.0f} C{ax:.0f},{ay + bend:.0f} {bx:.0f},{by - bend:.0f} {bx:.0f},{by - 4:.0f}"
    else:
        side = x + width + 16
        ay, by = y + a.y + a.height / 2, y + b.y + b.height / 2
        start, end = x + a.x + a.width, x + b.x + b.width
        path = f"M{start:.0f},{ay:.0f} C{side:.0f},{ay:.0f} {side:.0f},{by:.0f} {end + 4:.0f},{by:.0f}"
    out.append(f'<path d="{path}" class="edge" marker-end="url(#e)"/>')


def picture(name: str, machine: dict[str, Any]) -> str:
    """The whole SVG."""
    graph = layout(machine)
    body: list[str] = []
    draw(graph, 20, 56, body)
    width, height = graph.width + 70, graph.height + 80
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
            ' font-family="Roboto, Helvetica, Arial, sans-serif" font-size="13" text-anchor="middle">',
            "<style>.edge{fill:none;stroke:#52525b;stroke-width:1.3}.caught{font-size:9.5px;fill:#c53030}</style>",
            '<defs><marker id="e" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 8,4 0,8z" fill="#52525b"/></marker>'
            "</defs>",
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            f'<text x="20" y="28" text-anchor="start" font-size="17" font-weight="600">{escape(name)}</text>',
            f'<text x="20" y="46" text-anchor="start" fill="#71717a">{escape(machine.get("Comment", ""))}</text>',
            *body,
            "</svg>\n",
        ]
    )


def main() -> int:
    """Write every picture; with `--check`, say which are out of date instead."""
    OUT.mkdir(parents=True, exist_ok=True)
    stale = 0
    for file in sorted((ROOT / "statemachines").glob("*.asl.json")):
        name = file.name.removesuffix(".asl.json")
        svg = picture(name, json.loads(file.read_text(encoding="utf-8")))
        target = OUT / f"{name}.svg"
        if "--check" in sys.argv[1:]:
            if not target.is_file() or target.read_text(encoding="utf-8") != svg:
                stale += 1
                sys.stdout.write(f"{target.relative_to(ROOT)} is out of date; run `make docs`\n")
        else:
            target.write_text(svg, encoding="utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
