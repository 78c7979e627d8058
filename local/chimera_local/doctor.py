"""What this machine has, lacks and would gain: one finding for each thing a run needs or could use."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import KINDS, ProviderContext
from chimera.plugins.loader import providers
from chimera.settings import Settings, keys_present
from chimera_local.lock import engine_pid, find_engine
from chimera_local.postgres import EmbeddedPostgres, binaries

Status = Literal["ok", "missing", "warning", "error"]
LOW_DISK_BYTES = 2_000_000_000
TOO_LITTLE_DISK_BYTES = 500_000_000
REACH_SECONDS = 1.0
KEYS = {
    "OPENAI_API_KEY": "voices and generated pictures by OpenAI, paid; for a persona that names them",
    "ANTHROPIC_API_KEY": "a writer by Anthropic, as first choice or as fallback",
    "ELEVENLABS_API_KEY": "voices by ElevenLabs, paid; for a persona that names them",
    "AWS_ACCESS_KEY_ID": "voices by Amazon Polly, paid, together with AWS_SECRET_ACCESS_KEY; for a persona that names them",
    "AWS_SECRET_ACCESS_KEY": "voices by Amazon Polly, together with AWS_ACCESS_KEY_ID",
    "RUNWAY_API_KEY": "generated footage by Runway, paid; for a persona that names it",
    "PEXELS_API_KEY": "stock photos and footage by Pexels, free; for a persona with `pexels` in its libraries",
    "PIXABAY_API_KEY": "stock photos and footage by Pixabay, free; for a persona with `pixabay` in its libraries",
    "UNSPLASH_API_KEY": "stock photos by Unsplash, free; for a persona with `unsplash` in its libraries",
    "YOUTUBE_CLIENT_SECRET": "publishing to YouTube",
    "YOUTUBE_API_KEY": "trends from YouTube",
}
"""Optional keys, and what each is for."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `gives`: what it would give if it is missing, else empty."""

    name: str
    status: Status
    detail: str
    gives: str = ""


def report(settings: Settings) -> list[Finding]:
    """Look at everything; changes nothing, starts nothing, takes about two seconds."""
    reach = _Reachability(settings)
    home = settings.home_path
    findings = [
        _python(),
        _looked("ffmpeg", _ffmpeg),
        _looked("voice", _espeak),
        _looked("fonts", _fonts),
        _looked("voices", lambda: _offered(settings, "voices")),
        _looked("pictures", lambda: _offered(settings, "canvases")),
        _looked("libraries", lambda: _offered(settings, "libraries")),
        _looked("templates", _templates),
        _home(home),
        _disk(home),
        _looked("database", lambda: _postgres(home)),
        _engine(home),
    ]
    findings += reach.findings()
    return findings + _keys(settings)


def _looked(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (ChimeraError, OSError, ImportError, subprocess.SubprocessError, RuntimeError) as error:
        said = error.message if isinstance(error, ChimeraError) else str(error)
        return Finding(name, "error", f"{said[:300]}; install again with `make run`")


def _python() -> Finding:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < (3, 11):  # noqa: UP036 - tells who runs it from a checkout with another Python
        return Finding("python", "error", f"{version}; 3.11 or newer is needed")
    return Finding("python", "ok", version)


def _ffmpeg() -> Finding:
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=True)
    lines = done.stdout.splitlines()
    version = lines[0].split(" Copyright")[0] if lines else "unknown version"
    lacking = [part for part in ("libx264", "libass") if f"--enable-{part}" not in done.stdout]
    if lacking:
        return Finding("ffmpeg", "error", f"{version} at {program} lacks {', '.join(lacking)}")
    return Finding("ffmpeg", "ok", version)


def _espeak() -> Finding:
    import espeakng_loader

    library, data = Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
    for path in (library, data / "phontab"):
        if not path.exists():
            return Finding("voice", "error", f"espeak-ng is not whole: {path} is missing")
    return Finding("voice", "ok", "espeak-ng with its data, offline")


def _fonts() -> Finding:
    lacking = [
        name
        for name in ("fontpkg_montserrat", "fontpkg_inter", "font_roboto")
        if not (spec := importlib.util.find_spec(name))
        or not spec.origin
        or not any((Path(spec.origin).parent / "files").glob("*.ttf"))
    ]
    if lacking:
        return Finding("fonts", "error", f"font packages without files: {', '.join(lacking)}")
    from chimera.media.fonts import EMOJI, SCRIPTS, font_file

    more = []
    for family in SCRIPTS:
        try:
            font_file(family)
        except ChimeraError:
            continue
        more.append("emoji" if family == EMOJI else family)
    lacks = "; Chinese, Japanese and Korean: a font of the system, or `pip install noto-cjk-sans-jp-bold`"
    detail = "Montserrat, Inter and Roboto, bundled" + (f"; {', '.join(more)}" if more else "")
    return Finding("fonts", "ok", detail + ("" if any("CJK" in name for name in more) else lacks))


def _offered(settings: Settings, kind: str) -> Finding:
    """The providers of a kind: those that work now, and the keys of the others."""
    name = "pictures" if kind == "canvases" else kind
    try:
        found = providers(kind, ProviderContext(settings=settings))
    except ChimeraError as error:
        return Finding(name, "error", error.message)
    waiting = {
        one: lacking
        for one, provider in sorted(found.items())
        if (lacking := [key for key in needed_keys(provider) if key not in keys_present(needed_keys(provider))])
    }
    ready = ", ".join(one for one in sorted(found) if one not in waiting)
    with_keys = ", ".join(f"{one} ({' and '.join(keys)})" for one, keys in waiting.items())
    detail = "; ".join(part for part in (ready, with_keys and f"with a key: {with_keys}") if part)
    return Finding(name, "ok" if ready else "error", detail or f"no provider of {name} is installed")


def needed_keys(provider: object) -> tuple[str, ...]:
    """The variables of the keys that a provider needs: its `needs_keys`, or a library's one `secret`."""
    secret = getattr(provider, "secret", "")
    return tuple(getattr(provider, "needs_keys", ())) or ((secret,) if isinstance(secret, str) and secret else ())


def _templates() -> Finding:
    from chimera.plugins.loader import template_folders
    from chimera.templates.shelves import BUILTIN

    names = sorted(path.parent.name for path in BUILTIN.glob("*/template.yaml"))
    more = [name for name, _ in template_folders()]
    detail = f"{len(names)} built in: {', '.join(names)}" + (f"; from plugins: {', '.join(more)}" if more else "")
    return Finding("templates", "ok" if names else "error", detail)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _home(home: Path) -> Finding:
    there = _existing(home)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding("home", "error", f"{home} cannot be written ({error.strerror}); set CHIMERA_HOME")
    return Finding("home", "ok", str(home) if there == home else f"{home} (the first run makes it)")


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(_existing(home)).free
    detail = f"{free / 1e9:.1f} GB free under {home}"
    if free < TOO_LITTLE_DISK_BYTES:
        return Finding("disk", "error", f"{detail}; a run needs {TOO_LITTLE_DISK_BYTES / 1e9:.1f} GB")
    if free < LOW_DISK_BYTES:
        return Finding("disk", "warning", f"{detail}; enough for a few videos only")
    return Finding("disk", "ok", detail)


def _postgres(home: Path) -> Finding:
    binaries()
    version = home / "postgres" / "PG_VERSION"
    if not version.is_file():
        return Finding("database", "ok", "PostgreSQL 16 from the wheel; the first run makes the database")
    pid = EmbeddedPostgres(home).pid
    state = f"runs (process {pid})" if pid else "is not running; the next command starts it"
    found = version.read_text().strip()
    return Finding("database", "ok", f"PostgreSQL {found} in {version.parent} {state}")


def _engine(home: Path) -> Finding:
    pid = engine_pid(home)
    if pid is None:
        return Finding("engine", "ok", "none runs; `chimera run` starts its own, `chimera up` keeps one")
    info = find_engine(home)
    where = f", API on http://127.0.0.1:{info.port}" if info and info.port else ""
    return Finding("engine", "ok", f"runs as process {pid}{where}")


class _Reachability:
    """Asks the keyless sources at once, in threads that nobody waits for long: a name look-up can hang."""

    def __init__(self, settings: Settings) -> None:
        self._results: dict[str, str] = {}
        self._sources = {
            "Hacker News": settings.hackernews_url,
            "Wikipedia pageviews": settings.wikimedia_url,
            "Google Trends": settings.google_trends_url,
        }
        self._contact = settings.http_contact
        self._threads = [
            threading.Thread(target=self._ask, args=(name, url), daemon=True) for name, url in self._sources.items()
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, name: str, url: str) -> None:
        import httpx

        try:
            headers = {"User-Agent": f"chimera-doctor (+{self._contact})"}
            response = httpx.head(url, timeout=REACH_SECONDS, headers=headers)
            self._results[name] = f"answers ({response.status_code}) at {url}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            self._results[name] = f"!{type(error).__name__}"

    def findings(self) -> list[Finding]:
        """One for each source."""
        until = time.monotonic() + REACH_SECONDS + 0.5
        for thread in self._threads:
            thread.join(max(0, until - time.monotonic()))
        found = []
        results = {name: self._results.get(name, "!no answer in time") for name in self._sources}
        offline = all(said.startswith("!") for said in results.values())
        instead = "the bundled sample will be used" if offline else "the other sources will be used"
        for name, said in results.items():
            if said.startswith("!"):
                detail = f"{self._sources[name]} is not reached ({said[1:]}); {instead}"
                found.append(Finding(name, "warning", detail))
            else:
                found.append(Finding(name, "ok", said))
        return found


def _keys(settings: Settings) -> list[Finding]:
    """Each optional key: whether it is set, and whether anything installed would use it.

    A provider that needs keys names them in its attribute `needs_keys`, a library in `secret`.
    """
    users: dict[str, list[str]] = {}
    broken: list[Finding] = []
    from chimera.plugins.loader import factories

    context = ProviderContext(settings=settings)
    try:
        offered = [(kind, factory) for kind in KINDS for factory in factories(kind)]
    except Exception as error:  # noqa: BLE001 - a stranger's plugin may fail in any way while it loads
        offered = []
        broken.append(Finding("plugins", "error", f"a plugin cannot be loaded: {error}"[:300]))
    for kind, factory in offered:
        try:
            provider = factory(context)
        except (ChimeraError, ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
            broken.append(Finding(f"plugin ({kind})", "error", f"{factory!r} cannot be made: {error}"[:300]))
            continue
        for key in needed_keys(provider):
            users.setdefault(key, []).append(f"{kind}: {provider.name}")
    names = [*KEYS, *sorted(set(users) - set(KEYS))]
    present = keys_present(names)
    found = []
    for key in names:
        purpose = KEYS.get(key, f"the provider {', '.join(users.get(key, []))}")
        if key not in users:
            detail = "set, but nothing here uses it" if key in present else "not set"
            status: Status = "warning" if key in present else "missing"
            gives = f"meant for: {purpose}; no provider installed in this version uses it yet"
            found.append(Finding(key, status, detail, gives))
        elif key in present:
            found.append(Finding(key, "ok", f"set; used by {', '.join(users[key])}"))
        else:
            found.append(Finding(key, "missing", "not set", f"would give: {purpose} ({', '.join(users[key])})"))
    return broken + found
