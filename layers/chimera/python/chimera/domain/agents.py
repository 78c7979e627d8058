"""Which agent each function works for, and so which database role it logs in as: the rules' role table."""

from __future__ import annotations

from typing import Literal

Agent = Literal[
    "supervisor", "scout", "planner", "director", "artist", "cfo", "judge", "publisher", "analyst", "people", "owner"
]

FUNCTIONS: dict[Agent, tuple[str, ...]] = {
    "supervisor": ("begin_run", "finish_run"),
    "scout": ("fetch_source", "rank_trends", "fetch_upload", "probe_upload", "write_material"),
    "planner": ("plan_tasks",),
    "director": ("open_task", "write_brief", "save_brief", "close_content", "close_rejected"),
    "artist": ("voice", "pictures"),
    "cfo": (
        "approve", "override_approval", "release_approval", "dispatch", "settle", "settle_failure", "recover", "seal",
        "project_budgets",
    ),
    "judge": ("judge", "record_verdict"),
    "publisher": (
        "preflight", "grant", "claim_publication", "publish", "find_post", "record_receipt", "mark_ambiguous",
        "resolve_publication", "fail_publication",
    ),
    "analyst": ("measure", "record_engagement", "start_measuring"),
    # what is put before people, and what they decide
    "people": (
        "prepare_review", "prepare_approval", "request_review", "request_approval", "record_decision",
        "approve_in_advance",
    ),
    "owner": ("migrate",),
}  # fmt: skip

AGENT_OF: dict[str, Agent] = {name: agent for agent, names in FUNCTIONS.items() for name in names}
"""`api` is not here: it answers people, as the application's role on a laptop; on AWS it is two functions, of people and of
the CFO."""

DATABASE_ROLES: tuple[str, ...] = ("chimera_app", *(f"chimera_{agent}" for agent in FUNCTIONS if agent != "owner"))
"""Roles that log in, without any right of their own: what each may touch is granted by the migrations."""


def database_role(function: str) -> str:
    """The role that a function logs in as; the application's for one that belongs to no single agent."""
    agent = AGENT_OF.get(function)
    return "chimera_app" if agent is None else "chimera_owner" if agent == "owner" else f"chimera_{agent}"
