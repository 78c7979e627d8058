"""`make smoke`: drives a deployed Chimera through one whole run over its API and checks what came of it.

    python tools/smoke.py https://STUDIO --token-file token.txt
    python tools/smoke.py https://STUDIO --user-pool ID --client ID --user ana@example.org --password-file F --code 123456

It starts one small run (20 s of video, 360p; a few cents of AWS), approves what waits for a person, and then asks for
receipt, costs, ledger and health. It publishes to the persona's channels, as any run does. Exit code 0: all is well.
Not yet run against a live account; against `chimera up`, which serves the same API, tests/e2e runs it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

WAITING = {"running", "waiting_review", "waiting_approval"}
POLL_SECONDS = 3.0
MOST_MINUTES = 20
RETRIED = {429, 502, 503, 504}
TRIES = 6
"""A paused database takes some 15 s to wake, so the first requests may be refused as retryable."""


class Wrong(Exception):  # noqa: N818 - the finding of a check, told to a person
    """Something is not as it should be; the message says what came and what was expected."""


class Api:
    """The API under one address, as one person. Answers that may be retried are, with the same key."""

    def __init__(self, base: str, token: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        if not base.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise Wrong(f"address: got {base}; expected https://… (a token is not sent in the clear)")
        self._base = base.rstrip("/")
        self._token = token
        self._pause = pause

    def __call__(self, method: str, path: str, body: Any = None, *, key: str = "", anonymous: bool = False) -> Any:
        """The JSON answer of a request that succeeds."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {} if anonymous else {"Authorization": f"Bearer {self._token}"}
        headers |= {"Idempotency-Key": key} if key else {}
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(1, TRIES + 1):
            request = urllib.request.Request(self._base + path, data=data, headers=headers, method=method)  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=35) as response:  # noqa: S310
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read().decode("utf-8", "replace")[:500]
                if error.code not in RETRIED or attempt == TRIES:
                    raise Wrong(f"{method} {path}: got {error.code} {said}") from None
            except (urllib.error.URLError, TimeoutError) as error:
                if attempt == TRIES:
                    raise Wrong(f"{method} {path}: no answer ({error})") from None
            self._pause(min(2.0**attempt, 15.0))
        raise AssertionError("unreachable")


def smoke(api: Api, say: Callable[[str], None], *, pause: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """One whole run; gives its report. `Wrong` at the first thing that is not as it should be."""
    health = api("GET", "/health", anonymous=True)
    expect("health", health["status"], "healthy", "degraded")
    say(f"health: {health['status']}")
    key = f"smoke-{uuid.uuid4()}"
    options = {"sources": ["sample"], "duration_seconds": 20, "resolution": "360p"}
    started = api("POST", "/v1/runs", options, key=key)
    again = api("POST", "/v1/runs", options, key=key)
    expect("the same Idempotency-Key", again["run_id"], started["run_id"])
    say(f"run {started['run_id']} begun")
    run = follow(api, started["run_id"], say, pause)
    expect("run's status", run["status"], "published")
    check_money(api, run, say)
    check_posts(run, say)
    timeline = api("GET", f"/v1/runs/{run['run_id']}/timeline")
    if not timeline.get("events"):
        raise Wrong("timeline: got no event; expected what happened")
    health = api("GET", "/health", anonymous=True)
    expect("health after the run", health["status"], "healthy")
    say("health: healthy")
    return dict(run)


def follow(api: Api, run_id: str, say: Callable[[str], None], pause: Callable[[float], None]) -> Any:
    """Poll until the run has ended, deciding with yes what waits for a person; its report."""
    deadline, last = time.monotonic() + MOST_MINUTES * 60, ""
    while True:
        run = api("GET", f"/v1/runs/{run_id}")
        if run["status"] != last:
            last = run["status"]
            say(f"  {last}")
        if run["status"] not in WAITING:
            return run
        if run["status"] != "running":
            decide(api, run, say)
        if time.monotonic() > deadline:
            raise Wrong(f"run {run_id}: got {run['status']} after {MOST_MINUTES} minutes; expected an end")
        pause(POLL_SECONDS)


def decide(api: Api, run: Any, say: Callable[[str], None]) -> None:
    """Approve the review of this run's content, or of its spend; none of any other run."""
    mine = {run.get("content_id"), *(approval.get("request_id") for approval in run["approvals"])} - {None}
    for review in api("GET", "/v1/reviews?status=pending")["items"]:
        if review.get("content_id") in mine or review.get("request_id") in mine:
            detail = api("GET", f"/v1/reviews/{review['review_id']}")
            body = {"content_hash": detail["subject_hash"], "note": "smoke test"}
            answer = api("POST", f"/v1/reviews/{review['review_id']}/approve", body)
            expect("the decision", answer["status"], "approved")
            say(f"  approved review {review['review_id']} ({review['kind']}: {review['reason'][:80]})")


def check_money(api: Api, run: Any, say: Callable[[str], None]) -> None:
    """Nothing cost more than was approved, everything is settled, the ledger is whole."""
    costs = api("GET", f"/v1/content/{run['content_id']}/costs")
    approved = sum(Decimal(a["amount"]) for a in run["approvals"] if a["decision"] == "approved")
    actual = Decimal(run["cost"]["actual"])
    if not 0 < actual <= approved:
        raise Wrong(f"cost: got {actual} USD; expected more than 0 and at most the approved {approved}")
    if not costs["steps"]:
        raise Wrong("costs: got no step; expected a line for each")
    unsettled = [a["state"] for a in run["approvals"] if a["decision"] == "approved" and a["state"] != "SETTLED"]
    if unsettled:
        raise Wrong(f"approvals: got {', '.join(unsettled)}; expected SETTLED")
    verified = api("GET", "/v1/ledger/verify")
    expect("ledger verified", verified["verified"], True)
    say(f"cost {actual} of {approved} USD approved, ledger of {verified['entries']} rows verified")


def check_posts(run: Any, say: Callable[[str], None]) -> None:
    """Every publication is confirmed and says where it is."""
    if not run["publications"]:
        raise Wrong("publications: got none; expected one for each channel")
    for post in run["publications"]:
        expect("publication", post["status"], "published")
        if not post.get("url") or not post.get("post_id"):
            raise Wrong(f"receipt: got {post}; expected an address and the post's id")
        say(f"published: {post['url']}")


def expect(what: str, got: object, *expected: object) -> None:
    """`Wrong` unless it is one of these."""
    if got not in expected:
        raise Wrong(f"{what}: got {got!r}; expected {' or '.join(repr(value) for value in expected)}")


def cognito_token(client: Any, pool: str, app: str, user: str, password: str, code: str) -> str:
    """An access token by AdminInitiateAuth, which takes AWS rights of one's own; `code` answers the second factor."""
    names = {"UserPoolId": pool, "ClientId": app}
    secrets = {"USERNAME": user, "PASSWORD": password}
    answer = client.admin_initiate_auth(**names, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=secrets)
    challenge = answer.get("ChallengeName")
    if challenge == "SOFTWARE_TOKEN_MFA":
        if not code:
            raise Wrong("--code: got none; expected the six digits of the authenticator app")
        given = {"USERNAME": user, "SOFTWARE_TOKEN_MFA_CODE": code}
        answer = client.admin_respond_to_auth_challenge(
            **names, ChallengeName=challenge, ChallengeResponses=given, Session=answer["Session"]
        )
    elif challenge:
        raise Wrong(f"Cognito: got the challenge {challenge}; expected a user who has logged in once before")
    return str(answer["AuthenticationResult"]["AccessToken"])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="tools/smoke.py", description=(__doc__ or "").split("\n", 1)[0])
    made.add_argument("address", help="of the API, such as https://studio.example.org")
    made.add_argument("--token-file", type=Path, help="an access token of an operator, in a file")
    made.add_argument("--user-pool", help="Cognito's user pool, with --client, --user, --password-file")
    made.add_argument("--client")
    made.add_argument("--user")
    made.add_argument("--password-file", type=Path)
    made.add_argument("--code", default="", help="of the authenticator app")
    made.add_argument("--region", default="us-east-1")
    return made


def token_of(given: argparse.Namespace) -> str:
    """The token that the arguments give or lead to."""
    if given.token_file:
        return str(given.token_file.read_text(encoding="utf-8").strip())
    if not (given.user_pool and given.client and given.user and given.password_file):
        raise Wrong("token: got no --token-file; expected it, or --user-pool, --client, --user and --password-file")
    import boto3

    make: Any = boto3.client
    password = given.password_file.read_text(encoding="utf-8").rstrip("\n")
    client = make("cognito-idp", region_name=given.region)
    return cognito_token(client, given.user_pool, given.client, given.user, password, given.code)


def main(arguments: list[str] | None = None) -> int:
    """0: all is well; 1: what is not."""
    given = parser().parse_args(arguments)

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        smoke(Api(given.address, token_of(given)), say)
    except (Wrong, OSError) as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    say("smoke: all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
