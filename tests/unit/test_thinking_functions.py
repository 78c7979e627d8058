"""What a thinking function wires on AWS, with the packages of its layers only: no driver of the database among them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fakes.cloud_jobs import ONLY_LOCKED, not_in_the_image

ROOT = Path(__file__).resolve().parents[2]
OF_THE_RUNTIME = {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"}
WIRE = """
from chimera.bootstrap import App
from chimera.settings import Settings
arn = "arn:aws:kms:us-east-1:000000000000:key/k"
app = App(Settings(world="aws", media_bucket="b", cfo_key_arns=arn, seal_key_arns=arn, grant_key_arn=arn, region="us-east-1"))
tenant = app.settings.tenant_id
from chimera.purse import Purse
purse = Purse(app.allowances(tenant), "00000000-0000-7000-8000-000000000009").at("judge")
for kind in ("writers", "checks", "platforms", "sources"):
    assert app.providers(kind, purse), kind
for name in ("media", "verifier", "issuer", "vault", "pages", "clock", "dynamo"):
    getattr(app, name)
assert app.sentiment("a wonderful day") > 0
import sys
assert "psycopg" not in sys.modules and "numpy" not in sys.modules
print("wired")
"""


def test_a_thinking_function_needs_nothing_but_its_layers(tmp_path: Path) -> None:
    missing = set.intersection(
        *(not_in_the_image(ROOT / f"layers/{name}/requirements.lock") for name in ("core", "llm"))
    )
    names = missing - OF_THE_RUNTIME
    assert {"psycopg", "numpy", "dbos", "sqlalchemy"} <= names
    (tmp_path / "sitecustomize.py").write_text(ONLY_LOCKED.format(names=names))
    done = subprocess.run(
        [sys.executable, "-c", WIRE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.stdout.strip() == "wired", done.stderr[-2000:]
