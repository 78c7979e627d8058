"""`chimera up`: everything, on 127.0.0.1: engine, clock, API, feed. Ctrl-C stops it cleanly."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from chimera.adapters.local.issuer import API_AUDIENCE, LocalIssuer
from chimera.bootstrap import App
from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera_local.cli import emit
from chimera_local.cli.progress import StageProgress
from chimera_local.clock import LocalClock
from chimera_local.world import World, world


@click.command()
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object once it is up.")
def up(port: int, as_json: bool) -> int:
    """Serve the API, its documentation and the local channel's feed, and go on with every unfinished run."""
    from chimera_local.functions import SYNCHRONOUS_BYTES
    from chimera_local.gateway import Gateway
    from chimera_local.upload_files import UploadDesk

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    given = get_settings()
    given.channel_path.mkdir(parents=True, exist_ok=True)
    issuer = LocalIssuer(given.keys_path)

    def not_yet(event: Any) -> Any:
        raise ChimeraError("AGENT_OFFLINE", "the API is still starting", {})

    # the port is taken before anything else is started: a wrong one costs nothing
    gateway = Gateway(
        port=port,
        invoke=not_yet,
        verify=lambda token: issuer.verify(token, API_AUDIENCE),
        channel=given.channel_path,
        on_media_view=App(given).providers("platforms")["local"].count_view,
        access_log=given.home_path / "logs" / "access.log",
    )
    with StageProgress() as progress:
        try:
            address = f"http://127.0.0.1:{gateway.port}"
            settings = given.model_copy(update={"public_base_url": address})
            with world(settings, require_own=True, port=gateway.port, note=progress.update) as w:
                progress.done("database")
                progress.done("engine")
                gateway.take_upload = UploadDesk(w.app.media, issuer, settings.home_path / "incoming").take
                gateway.invoke = lambda event: w.pool.invoke("api", event, max_bytes=SYNCHRONOUS_BYTES)
                # an empty channel gets its feed; links follow a change of port
                w.app.providers("platforms")["local"].rebuild()
                gateway.start()
                clock = start_clock(w)
                try:
                    value = {
                        "url": address,
                        "docs": f"{address}/docs",
                        "openapi": f"{address}/openapi.json",
                        "feed": f"{address}/channel/feed.xml",
                        "channel": f"{address}/channel/",
                        "home": str(settings.home_path),
                    }
                    text = "\n".join(
                        [
                            f"Chimera is up at {address}",
                            f"  API docs   {value['docs']}   (a token: chimera token --role operator)",
                            f"  Channel    {value['channel']}",
                            f"  Feed       {value['feed']}",
                            "Ctrl-C stops it; runs go on at the next start.",
                        ]
                    )
                    emit(value, as_json=as_json, text=text)
                    stop.wait()
                    progress.note("stopping")
                finally:
                    clock.close()
                    gateway.close()  # running requests end while the functions are still there
        finally:
            gateway.close()
    return 0


def start_clock(w: World) -> LocalClock:
    """What happens by the minute: signing and expiry, delivery of decisions, measuring what is due."""
    from chimera.usecases.analyst import measure_due
    from chimera.usecases.budget_watch import watch
    from chimera.usecases.publisher_sweep import settle_unknown
    from chimera.usecases.review import deliver_pending

    settings, tenant = w.app.settings, w.tenant

    def cfo_sweep() -> None:
        app = App(settings)
        try:
            app.cfo(tenant).sweep()
        finally:
            app.close()

    first = True

    def recovery() -> None:
        nonlocal first
        app = App(settings)
        try:
            app.recovery(tenant).run(full=first)  # every row at start-up, then what is new
            first = False
            watch(tenant, app.ledger(tenant), app.money_views(tenant))
        finally:
            app.close()

    def seal() -> None:
        app = App(settings)
        try:
            app.sealer(tenant).seal_due()  # finer than recovery: what no seal covers is at most 70 s old
        finally:
            app.close()

    def deliveries() -> None:
        app = App(settings)
        try:
            deliver_pending(app.reviews(tenant), app.workflows)
        finally:
            app.close()

    def measurements() -> None:
        app = App(settings)
        try:
            measure_due(app.engagement(tenant), app.providers("platforms"), tenant)
        finally:
            app.close()

    def unsettled() -> None:
        app = App(settings)
        try:
            settle_unknown(app, tenant)
        finally:
            app.close()

    clock = LocalClock()
    clock.every("unsettled_publications", unsettled, seconds=60)
    clock.every("cfo_sweep", cfo_sweep, seconds=10)
    clock.every("recovery", recovery, seconds=60)
    clock.every("seal", seal, seconds=10)
    clock.every("review_delivery", deliveries, seconds=10)
    clock.every("measure_due", measurements, seconds=60)
    clock.start()
    return clock
