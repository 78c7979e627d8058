"""The local channel killed with SIGKILL before and after each thing it does to the disk: one post, one
item."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import feedparser
import pytest

# Runs in a process of its own, which forks a victim for each point: the victim kills itself there, then the
# next call (a publish or a look-up, in turn) has to leave exactly one whole post.
MURDERER = '''
import json, os, shutil, signal, sys, tempfile
from pathlib import Path
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.platforms.local_channel import LocalChannel
from chimera.domain.models import PublishRequest

home, files = Path(sys.argv[1]), {"video": "v", "thumbnail": "t", "vtt": "c", "srt": "s"}
media = FolderMediaStore(home / "media")
for key in files.values():
    media.put_bytes(key, key.encode() * 5000)

def request(n):
    return PublishRequest(content_id="c", platform="local", channel_id="local", title=f"Post {n}",
                          idempotency_key=f"key-{n}", content_hash="h", media=files)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def arm(point):
    """Die before (even) or after (odd) the point-th thing done to the disk; a copy dies half done."""
    count = [0]
    def wrap(holder, name):
        real = getattr(holder, name)
        def wrapped(*args, **kwargs):
            here = count[0]
            count[0] += 2
            if here == point:
                if name == "copyfile":
                    Path(args[1]).write_bytes(Path(args[0]).read_bytes()[:1000])
                die()
            result = real(*args, **kwargs)
            if here + 1 == point:
                die()
            return result
        setattr(holder, name, wrapped)
    for holder, name in ((os, "fsync"), (os, "rename"), (os, "replace"), (shutil, "copyfile"), (tempfile,
    "mkdtemp")):
        wrap(holder, name)

results, point = [], 0
while True:
    root = home / "channels" / str(point)
    channel = LocalChannel(root, media, "http://127.0.0.1:8787")
    child = os.fork()
    if child == 0:
        arm(point)
        channel.publish(request(point))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, status
        break
    found = channel.lookup(request(point))
    first = channel.publish(request(point)) if point % 2 or found is None else found
    again = channel.publish(request(point))
    results.append({"point": point, "found": found is not None, "same": first == again})
    point += 1
print(json.dumps(results))
'''


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    home = tmp_path_factory.mktemp("crashes")
    done = subprocess.run(
        [sys.executable, "-c", MURDERER, str(home)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return home, json.loads(done.stdout)


def test_every_point_of_a_publish_was_a_death(deaths: tuple[Path, list[dict[str, object]]]) -> None:
    _, results = deaths
    assert len(results) >= 20
    assert [r["found"] for r in results].count(True) >= 4  # died after the post was in its place
    assert all(r["same"] for r in results)


def test_after_each_death_the_next_call_leaves_one_whole_post(
    deaths: tuple[Path, list[dict[str, object]]],
) -> None:
    home, results = deaths
    for result in results:
        root = home / "channels" / str(result["point"])
        (folder,) = (root / "posts").iterdir()
        assert {p.name: p.stat().st_size for p in folder.iterdir() if p.suffix != ".json"} == {
            "video.mp4": 5000,
            "thumbnail.jpg": 5000,
            "captions.vtt": 5000,
            "captions.srt": 5000,
        }
        feed = feedparser.parse((root / "feed.xml").read_bytes())
        assert not feed.bozo
        assert [entry.title for entry in feed.entries] == [f"Post {result['point']}"]
        assert (root / "index.html").read_text().count("<article") == 1
        assert sorted(p.name for p in root.iterdir()) == [".lock", "feed.xml", "index.html", "posts"]


RACER = """
import sys
from pathlib import Path
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.platforms.local_channel import LocalChannel
from chimera.domain.models import PublishRequest
home = Path(sys.argv[1])
channel = LocalChannel(home / "channel", FolderMediaStore(home / "media"), "http://127.0.0.1:8787")
sys.stdin.readline()
for n in range(3):
    r = channel.publish(PublishRequest(content_id="c", platform="local", channel_id="local", title=f"Post {n}",
        idempotency_key=f"key-{n}", content_hash="h", media={"video": "v"}))
    channel.count_view(r.post_id)
    print(r.model_dump_json())
"""


def test_publishers_that_race_get_the_same_receipts_and_no_view_is_lost(tmp_path: Path) -> None:
    from chimera.adapters.local.media import FolderMediaStore
    from chimera.adapters.platforms.local_channel import LocalChannel

    media = FolderMediaStore(tmp_path / "media")
    media.put_bytes("v", b"v" * 100_000)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = {racer.communicate("go\n", timeout=60)[0] for racer in racers}
    assert all(racer.returncode == 0 for racer in racers)
    assert len(outputs) == 1
    receipts = [json.loads(line) for line in outputs.pop().splitlines()]
    channel = LocalChannel(tmp_path / "channel", media, "http://127.0.0.1:8787")
    assert [channel.metrics(r["post_id"]).views for r in receipts] == [3, 3, 3]
    feed = feedparser.parse((tmp_path / "channel" / "feed.xml").read_bytes())
    assert sorted(entry.title for entry in feed.entries) == ["Post 0", "Post 1", "Post 2"]
