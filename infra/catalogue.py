"""Every function of `functions/`: whether it thinks or remembers, as which agent, and the least it may touch.

The rights follow the role table of the rules (scout, director, artist, cfo, judge, publisher, analyst): what a handler
and its use case ask of the media store, the keys, the state machines and the secrets, and nothing else. A folder in
`functions/` without an entry here is refused at synth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from infra.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]

Agent = Literal[
    "supervisor", "scout", "planner", "director", "cfo", "artist", "judge", "publisher", "analyst", "people", "owner"
]
AGENTS: tuple[Agent, ...] = (
    "supervisor", "scout", "planner", "director", "cfo", "artist", "judge", "publisher", "analyst", "people", "owner",
)  # fmt: skip
OWNER_DATABASE_USER = "postgres"
"""The master user of the cluster: migrations only."""


def database_user(agent: Agent) -> str:
    """The database role of an agent's functions: one role for each group, so that grants follow the role table."""
    return OWNER_DATABASE_USER if agent == "owner" else f"chimera_{agent}"


DATABASE_USERS: tuple[str, ...] = tuple(database_user(agent) for agent in AGENTS if agent != "owner")
"""The roles that the migration function makes: LOGIN, IN ROLE rds_iam, with the grants of the role table."""

# kinds of files in `tenants/{tenant}/content/{content}/{kind}/…`, the scan's in `tenants/{tenant}/runs/{run}/scan/`;
# an upload's in `tenants/{tenant}/uploads/{upload}/…`, a template's in `tenants/{tenant}/templates/{name}/{version}/`;
# what a persona showed in `tenants/{tenant}/personas/{persona}/pictures/`; `health/` holds nothing: whether the store answers is asked there
Kind = Literal[
    "brief",
    "audio",
    "pictures",
    "video",
    "captions",
    "images",
    "reports",
    "costs",
    "publish",
    "scan",
    "uploads",
    "templates",
    "shown",
    "health",
]

# families of the hot table's items, by the form of their partition key (adapters/aws/dynamo*.py)
Hot = Literal["allowance", "control", "budget"]
HOT_KEYS: dict[Hot, str] = {"allowance": "*#allowance#*", "control": "*#control", "budget": "*#budget"}
"""Partition keys begin with the tenant; what follows says what an item is."""

Purpose = Literal["cfo", "seal", "grant"]

Vendor = Literal["writers", "judges", "voices", "canvases", "libraries", "sources", "platforms", "insights"]
"""A group of secrets: which of the config's providers a function may know the key of."""


@dataclass(frozen=True)
class Function:
    """One Lambda. `reads`/`writes` are media kinds; `hot_*` key prefixes of the table; `asks` groups of secrets."""

    name: str
    does: Literal["thinks", "remembers"]
    agent: Agent
    folder: str = ""
    memory: int = 512
    seconds: int = 60
    disk: int = 512
    """MiB of /tmp; only an image can have more than Lambda's own."""
    reads: tuple[Kind, ...] = ()
    writes: tuple[Kind, ...] = ()
    signs: tuple[Purpose, ...] = ()
    verifies: tuple[Purpose, ...] = ()
    anchors: Literal["", "reads", "writes"] = ""
    starts: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    asks: tuple[Vendor, ...] = ()
    hot_reads: tuple[Hot, ...] = ()
    hot_writes: tuple[Hot, ...] = ()
    layers: tuple[str, ...] = field(default=())
    snap_start: bool = False
    image: bool = False
    """Deployed as the render container's image: it needs native libraries (skia, espeak-ng) that no layer can carry."""

    @property
    def source(self) -> str:
        """Its folder in `functions/`."""
        return self.folder or self.name

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Layers besides our own package: `db` for what remembers, `llm` for what calls a model's SDK, `migrate`."""
        return ("core", *(("db",) if self.does == "remembers" else ()), *self.layers)


MACHINES = ("supervisor", "research", "creation", "distribution", "analytics", "ingest")
SPENDS: tuple[Hot, ...] = ("allowance",)
LOOKS: tuple[Hot, ...] = ("control",)
CFO_KEY: tuple[Purpose, ...] = ("cfo",)


def thinks(name: str, agent: Agent, **rights: object) -> Function:
    """A function that calls models, platforms or sources; it has no database right at all."""
    return Function(name, "thinks", agent, **rights)  # type: ignore[arg-type]


def remembers(name: str, agent: Agent, **rights: object) -> Function:
    """A function that speaks to the database as its agent's role; it has nothing outside AWS to call."""
    return Function(name, "remembers", agent, **rights)  # type: ignore[arg-type]


CATALOGUE: tuple[Function, ...] = (
    # supervisor
    remembers("begin_run", "supervisor"),
    remembers("finish_run", "supervisor"),
    # scout and planner
    thinks("fetch_source", "scout", seconds=45, writes=("scan",), asks=("sources",)),
    remembers("rank_trends", "scout", memory=1024, reads=("scan",), writes=("scan",)),
    # what people bring: their files are opened in the image, which has the decoders, and in no other function
    thinks("fetch_upload", "scout", image=True, memory=2048, seconds=900, disk=10_240, reads=("uploads",), writes=("uploads",)),
    thinks("probe_upload", "scout", image=True, memory=2048, seconds=900, disk=10_240, reads=("uploads",), writes=("uploads",)),
    thinks("write_material", "scout", reads=("uploads",), writes=("uploads",)),
    remembers("plan_tasks", "planner"),
    # director
    remembers("open_task", "director", writes=("brief",)),
    thinks("write_brief", "director", memory=1024, seconds=120, reads=("brief", "costs", "templates"), writes=("brief", "costs"),
           asks=("writers",), layers=("llm",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS),
    remembers("save_brief", "director", reads=("brief",)),
    remembers("close_content", "director"),
    remembers("close_rejected", "director"),
    # cfo: the only ones that may sign with its key
    remembers("approve", "cfo", signs=("cfo",), snap_start=True),
    remembers("override_approval", "cfo", signs=("cfo",)),
    remembers("release_approval", "cfo", signs=("cfo",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS),
    remembers(
        "settle", "cfo", signs=("cfo",), reads=("costs",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS
    ),
    remembers(
        "settle_failure", "cfo", signs=("cfo",), reads=("costs",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS
    ),
    # dispatching uses an approval up; it verifies and signs nothing
    remembers(
        "dispatch", "cfo", verifies=CFO_KEY, reads=("costs",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS
    ),
    # recovery signs what a crash left unsigned; the anchored seals it only reads
    remembers("recover", "cfo", memory=1024, seconds=300, signs=("cfo",), verifies=("seal",), anchors="reads",
              watches=("supervisor", "creation"), reads=("costs",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS),
    remembers("seal", "cfo", memory=1024, seconds=300, signs=("seal",), verifies=("cfo",), anchors="writes"),
    remembers("project_budgets", "cfo", hot_reads=("budget", "control"), hot_writes=("budget", "control")),
    # artist
    thinks("voice", "artist", image=True, memory=1024, seconds=900, reads=("brief", "audio", "costs"), writes=("audio", "costs"),
           verifies=CFO_KEY, asks=("voices",), hot_reads=(*SPENDS, *LOOKS), hot_writes=SPENDS),
    thinks("pictures", "artist", image=True, memory=2048, seconds=900, reads=("brief", "pictures", "costs", "uploads", "shown"),
           writes=("pictures", "costs", "shown"), verifies=CFO_KEY, asks=("canvases", "libraries"), hot_reads=(*SPENDS, *LOOKS),
           hot_writes=SPENDS),
    # judge
    thinks("judge", "judge", memory=1024, seconds=120, reads=("brief", "reports", "costs"),
           writes=("reports", "costs"), asks=("judges",), layers=("llm",), hot_reads=(*SPENDS, *LOOKS),
           hot_writes=SPENDS),
    remembers("record_verdict", "judge", memory=1024, reads=("brief", "reports", "audio", "pictures", "costs")),
    # people: what is put before them and what they decided
    remembers("prepare_review", "people", reads=("brief", "video", "captions", "images", "reports")),
    remembers("prepare_approval", "people"),
    remembers("request_review", "people", answers=("creation",)),
    remembers("request_approval", "people", answers=("creation",)),
    remembers("record_decision", "people"),
    remembers("approve_in_advance", "people"),
    # publisher
    remembers("preflight", "publisher", writes=("publish",)),
    remembers("grant", "publisher", signs=("grant",)),
    remembers("claim_publication", "publisher", verifies=("grant",), hot_reads=LOOKS),
    thinks("publish", "publisher", memory=1024, seconds=120, reads=("publish", "video", "captions", "images"),
           writes=("publish",), verifies=("grant",), asks=("platforms",), hot_reads=LOOKS),
    thinks("find_post", "publisher", seconds=120, reads=("publish",), asks=("platforms",)),
    remembers("record_receipt", "publisher"),
    remembers("mark_ambiguous", "publisher"),
    remembers("resolve_publication", "publisher"),
    remembers("fail_publication", "publisher"),
    # analyst
    thinks("measure", "analyst", asks=("insights",)),
    remembers("record_engagement", "analyst"),
    remembers("start_measuring", "analyst", starts=("analytics",)),
    # the way in; what is about money goes to a second function of the same code, which has the CFO's rights
    # it writes templates that people publish, and may sign forms for files that they upload
    remembers("api", "people", memory=1024, seconds=29,
              reads=("video", "captions", "images", "reports", "health", "templates", "uploads"),
              writes=("templates", "uploads"),
              verifies=("cfo", "seal"), anchors="reads", starts=("supervisor", "research", "ingest"), watches=MACHINES,
              answers=("creation",), hot_reads=("control", "budget"), hot_writes=("control",), snap_start=True),
    remembers("api_money", "cfo", folder="api", memory=1024, seconds=29, signs=("cfo",), verifies=("seal",),
              anchors="reads", answers=("creation",), hot_reads=(*SPENDS, "control", "budget"), hot_writes=SPENDS),
    # once for each deployment
    remembers("migrate", "owner", memory=1024, seconds=900, layers=("migrate",)),
)  # fmt: skip

BY_NAME = {function.name: function for function in CATALOGUE}
# a brand's logo is an upload
RENDER_READS: tuple[Kind, ...] = (
    "brief", "audio", "pictures", "reports", "video", "captions", "images", "costs", "uploads",
)  # fmt: skip
RENDER_WRITES: tuple[Kind, ...] = ("video", "captions", "images", "reports", "costs")


def folders() -> frozenset[str]:
    """Every folder of `functions/` that has a handler."""
    return frozenset(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


def deployed() -> tuple[Function, ...]:
    """The catalogue's functions whose folder is there. `ConfigError` for a folder that the catalogue does not know."""
    there = folders()
    if unknown := sorted(there - {function.source for function in CATALOGUE}):
        raise ConfigError(
            f"functions/{unknown[0]}: has no entry in infra/catalogue.py, so nobody said what it may touch; "
            "expected one entry for each folder"
        )
    return tuple(function for function in CATALOGUE if function.source in there)
