"""A trace as a page: nodes are lanes, time goes down, messages are arrows, roles and terms are colours. It needs no
script, and loads nothing from elsewhere."""

from __future__ import annotations

import html
import re
from pathlib import Path

from sim.trace import Moment, Trace

LANE_PX = 300
MARGIN_PX = 110
TOP_PX = 60
LEAST_STEP_PX = 16
ROLE_COLOURS = {"leader": "#2e7d32", "follower": "#90a4ae", "candidate": "#ef6c00", "pre-candidate": "#ffb74d"}
TERM_COLOURS = ("#1565c0", "#6a1b9a", "#ad1457", "#00838f", "#4e342e", "#558b2f", "#c62828", "#283593")
MESSAGE_COLOURS = {"Append": "#1565c0", "Vote": "#ef6c00", "Install": "#6a1b9a", "Timeout": "#c62828"}
FLIGHT_ROWS = 1.5

STYLE = """
body { font: 13px system-ui, sans-serif; margin: 16px; color: #222; background: #fff }
svg text { font: 11px ui-monospace, monospace; paint-order: stroke; stroke: #fff; stroke-width: 3px }
.tell { fill: #555 } .chaos { fill: #c62828; font-weight: bold }
.legend span { display: inline-block; padding: 1px 8px; margin-right: 8px; border-radius: 4px; color: #fff }
.message line { stroke-width: 1.2 } .message:hover line { stroke-width: 3 } .message:hover text { font-weight: bold }
h1 { font-size: 16px }
"""


def write_page(path: Path, trace: Trace, from_s: float, to_s: float, title: str) -> None:
    """Write what a trace has between two times, in seconds."""
    moments = trace.cut(from_s, to_s)
    path.write_text(page(moments, _states_before(trace, from_s), title))


def _states_before(trace: Trace, from_s: float) -> dict[int, str]:
    """Each machine's state as of a time."""
    states: dict[int, str] = {}
    for moment in trace.moments:
        if moment.ns > from_s * 1e9:
            break
        if moment.kind == "state":
            states[moment.machine] = moment.text.partition("→")[2].strip()
    return states


def page(moments: list[Moment], states: dict[int, str], title: str) -> str:
    """The page."""
    machines = sorted({m.machine for m in moments if m.machine} | {m.to for m in moments if m.to} | set(states)) or [1]
    columns = {machine: MARGIN_PX + LANE_PX // 2 + place * LANE_PX for place, machine in enumerate(machines)}
    width = MARGIN_PX + LANE_PX * max(3, len(machines)) + 20
    rows, y, last_ns = [], float(TOP_PX), -1
    lane_y = dict.fromkeys(machines, y)
    lanes, arrows, texts = [], [], []
    shown = {machine: states.get(machine, "down") for machine in machines}
    for moment in moments:
        y += LEAST_STEP_PX
        if moment.ns != last_ns:
            rows.append(f'<text x="4" y="{y + 4:.0f}">{moment.ns / 1e9:.6f}</text>')
            last_ns = moment.ns
        text = html.escape(moment.text)
        if moment.kind == "state" and moment.machine in columns:
            new = moment.text.partition("→")[2].strip()
            if _look(new) != _look(shown[moment.machine]):
                lanes.append(_lane(columns[moment.machine], lane_y[moment.machine], y, shown[moment.machine]))
                lane_y[moment.machine] = y
            shown[moment.machine] = new
            label = html.escape(shown[moment.machine].partition(" |")[0])
            x = columns[moment.machine] + 12
            texts.append(f'<g><title>{text}</title><text x="{x}" y="{y + 4:.0f}">{label}</text></g>')
        elif moment.kind == "send":
            arrows.append(_arrow(columns.get(moment.machine, 0), columns.get(moment.to, width - 8), y, text))
        elif moment.kind == "tell":
            x = columns[moment.machine] + 12 if moment.machine in columns else MARGIN_PX
            kind = "chaos" if text.startswith("CHAOS") or "Error" in text else "tell"
            texts.append(f'<text class="{kind}" x="{x}" y="{y + 4:.0f}">{_cut(text, 140)}</text>')
    height = y + 40
    lanes += [_lane(columns[machine], lane_y[machine], height - 10, shown[machine]) for machine in machines]
    heads = [
        f'<text x="{x - 20}" y="{TOP_PX - 22}" font-weight="bold">m{machine}</text>'
        f'<text x="{x - 20}" y="{TOP_PX - 8}">{html.escape(states.get(machine, "down").partition(" |")[0])}</text>'
        for machine, x in columns.items()
    ]
    legend = "".join(f'<span style="background:{colour}">{role}</span>' for role, colour in ROLE_COLOURS.items())
    body = "\n".join([*lanes, *arrows, *heads, *rows, *texts])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>"
        f'<p class="legend">{legend} the edge of a lane is the colour of its term; time, in seconds, goes down'
        " (not to scale); point at a line for all of it</p>"
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}">\n'
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
        '<path d="M0,0 L7,3 L0,6 z" fill="#555"/></marker></defs>\n'
        f"{body}\n</svg></html>\n"
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _look(state: str) -> tuple[str, int]:
    """The role and the term in a state, which are what a lane shows."""
    found = re.search(r" t(\d+)", state)
    return state.split(" ", 1)[0], int(found[1]) if found else 0


def _lane(x: int, top: float, bottom: float, state: str) -> str:
    if state == "down" or bottom <= top:
        return f'<line x1="{x}" x2="{x}" y1="{top:.0f}" y2="{bottom:.0f}" stroke="#ddd" stroke-dasharray="3 4"/>'
    role, term = _look(state)
    fill, edge = ROLE_COLOURS.get(role, "#bbb"), TERM_COLOURS[term % len(TERM_COLOURS)]
    return (
        f'<g><title>{html.escape(state)}</title><rect x="{x - 6}" y="{top:.0f}" width="12"'
        f' height="{bottom - top:.0f}" fill="{fill}" stroke="{edge}" stroke-width="2.5"/></g>'
    )


def _arrow(start: int, end: int, y: float, text: str) -> str:
    name = text.removeprefix("config ")
    colour = next((colour for prefix, colour in MESSAGE_COLOURS.items() if name.startswith(prefix)), "#555")
    dash = ' stroke-dasharray="4 3"' if text.startswith("config ") else ""
    down = y + FLIGHT_ROWS * LEAST_STEP_PX
    from_x, to_x = (start + 8, end - 8) if end > start else (start - 8, end + 8)
    label_x = min(from_x, to_x) + 8 if abs(to_x - from_x) < 2 * LANE_PX else (from_x + to_x) // 2 - 60
    return (
        f'<g class="message"><title>{text}</title><line x1="{from_x}" y1="{y:.0f}" x2="{to_x}" y2="{down:.0f}"'
        f' stroke="{colour}"{dash} marker-end="url(#head)"/><text x="{label_x}" y="{y - 1:.0f}" fill="{colour}"'
        f' font-size="9">{_cut(text, 36)}</text></g>'
    )
