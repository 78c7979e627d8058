"""Nobody may do more than the role table says: the templates are walked, statement by statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chimera.domain.agents import AGENT_OF, DATABASE_ROLES
from infra.catalogue import BY_NAME, CATALOGUE, DATABASE_USERS, deployed
from infra.policies import ANY_RESOURCE
from tests.infra.conftest import PRODUCTION, Profile, Template, flat, listed

pytestmark = pytest.mark.xdist_group("infra")
NAMES = [function.name for function in deployed()]
CFO_SIGNERS = {
    "approve",
    "override_approval",
    "release_approval",
    "settle",
    "settle_failure",
    "recover",
    "api_money",
}
# CDK's own, for values that cross regions; it takes no policy of ours
FRAMEWORK_ROLES = ("CustomCrossRegionExport",)


def statements(profile: Profile) -> Iterator[tuple[str, Template]]:
    """Every statement of every policy of every role, with the logical id of what carries it."""
    for kind in ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for id, resource in profile.every(kind):
            properties = resource["Properties"]
            documents = [p["PolicyDocument"] for p in properties.get("Policies", [])]
            if "PolicyDocument" in properties:
                documents.append(properties["PolicyDocument"])
            for document in documents:
                for statement in document["Statement"]:
                    yield id, statement


def test_there_is_something_to_walk(profile: Profile) -> None:
    assert len(list(statements(profile))) > 100


def test_no_action_is_a_wildcard(profile: Profile) -> None:
    found = [(id, a) for id, s in statements(profile) for a in listed(s["Action"]) if "*" in a]
    assert found == []


def test_any_resource_only_for_actions_with_a_reason(profile: Profile) -> None:
    found = [
        (id, action)
        for id, s in statements(profile)
        if "*" in listed(s["Resource"])
        for action in listed(s["Action"])
        if action not in ANY_RESOURCE
    ]
    assert found == []
    assert all(len(reason) > 20 for reason in ANY_RESOURCE.values())


def test_no_resource_is_a_whole_service(profile: Profile) -> None:
    """A `*` may stand for a name that is made at run time, never for account, region or type."""
    for id, s in statements(profile):
        for resource in (flat(r) for r in listed(s["Resource"]) if r != "*"):
            if id.startswith(FRAMEWORK_ROLES):
                continue
            fixed = resource.split("*")[0]
            assert fixed.startswith(("arn:", "<")), (id, resource)
            assert fixed.count(":") >= 5 or fixed.startswith("<"), (id, resource)
            assert resource != "arn:aws:s3:::*"


def test_managed_policies_are_the_frameworks_alone(profile: Profile) -> None:
    found = {
        (id.split("role")[0][:40], flat(arn).rsplit("/", 1)[-1].rstrip('"}>'))
        for id, role in profile.every("AWS::IAM::Role")
        for arn in role["Properties"].get("ManagedPolicyArns", [])
        if "provider" not in id.lower()
    }
    assert found <= {("jobsgpuhost", "AmazonEC2ContainerServiceforEC2Role")}


def test_only_the_cfo_signs_with_its_key(profile: Profile) -> None:
    key = _key_reference(profile, "approvals (ES256)")
    signers = {n for n in NAMES if any(key in flat(r) for r in profile.resources_of(n, "kms:Sign"))}
    assert signers == CFO_SIGNERS & set(NAMES)
    assert {BY_NAME[n].agent for n in signers} == {"cfo"}


def test_only_sealing_signs_seals(profile: Profile) -> None:
    key = _key_reference(profile, "seals (ES256)")
    assert {n for n in NAMES if any(key in flat(r) for r in profile.resources_of(n, "kms:Sign"))} == {"seal"}


def test_only_grant_signs_grants(profile: Profile) -> None:
    key = _key_reference(profile, "publish grants")
    assert {n for n in NAMES if any(key in flat(r) for r in profile.resources_of(n, "kms:Sign"))} == {"grant"}


def test_nothing_else_in_the_account_may_sign_either(profile: Profile) -> None:
    """The keys' own policies: no `kms:*`, and signing only with the tag that the signers' roles carry."""
    keys = [p for p in profile.properties("AWS::KMS::Key") if p.get("KeyUsage") == "SIGN_VERIFY"]
    assert len(keys) == 3
    for key in keys:
        signing = [s for s in key["KeyPolicy"]["Statement"] if "kms:Sign" in listed(s["Action"])]
        assert [len(s["Condition"]["StringEquals"]) for s in signing] == [1]
        assert not any("*" in a for s in key["KeyPolicy"]["Statement"] for a in listed(s["Action"]))
    tags = {t["Key"]: t["Value"] for t in profile.role_of("approve")["Tags"]}
    assert tags["chimera-signs-cfo"] == profile.name
    for name in set(NAMES) - CFO_SIGNERS:
        assert "chimera-signs-cfo" not in {t["Key"] for t in profile.role_of(name).get("Tags", [])}, name


@pytest.mark.parametrize("name", NAMES)
def test_who_thinks_has_no_database_and_who_remembers_has_its_own_user(profile: Profile, name: str) -> None:
    logins = [flat(r) for r in profile.resources_of(name, "rds-db:connect")]
    variables = profile.function(name)["Environment"]["Variables"]
    if BY_NAME[name].does == "thinks":
        assert logins == []
        assert not any("DATABASE" in variable for variable in variables)
        assert "VpcConfig" not in profile.function(name)
        return
    user = "postgres" if BY_NAME[name].agent == "owner" else f"chimera_{BY_NAME[name].agent}"
    assert len(logins) == 1
    assert logins[0].endswith(f"/{user}")
    url = flat(variables["CHIMERA_DATABASE_OWNER_URL" if user == "postgres" else "CHIMERA_DATABASE_URL"])
    assert url.startswith(f"postgresql://{user}@")
    assert "sslmode=verify-full" in url


def test_platform_secrets_are_the_publishers_alone(production: Profile) -> None:
    def holders(part: str) -> set[str]:
        return {
            n for n in NAMES
            if any(part in _secret_text(production, r) for r in production.resources_of(n, "secretsmanager:GetSecretValue"))
        }  # fmt: skip

    assert holders("YOUTUBE_CREDENTIALS") == holders("MASTODON_CREDENTIALS") == {"publish", "find_post"}
    assert holders("YOUTUBE_INSIGHTS") == {"measure"}
    assert holders("OPENAI_API_KEY") == {"write_brief"}
    assert holders("ANTHROPIC_API_KEY") == {"judge"}
    assert holders("ELEVENLABS_API_KEY") == {"voice"}


def test_frugal_functions_know_no_secret(frugal: Profile) -> None:
    assert not any("secretsmanager:GetSecretValue" in frugal.actions_of(n) for n in NAMES)


def test_media_is_written_by_kind(frugal: Profile) -> None:
    def kinds(name: str, action: str) -> set[str]:
        return {flat(r).rsplit("/", 2)[-2] for r in frugal.resources_of(name, action)}

    assert kinds("voice", "s3:PutObject") == {"audio", "costs"}
    assert kinds("judge", "s3:PutObject") == {"reports", "costs"}
    assert kinds("publish", "s3:PutObject") == {"publish"}
    assert kinds("fetch_source", "s3:PutObject") == {"scan"}
    assert kinds("approve", "s3:PutObject") == set()
    assert "s3:DeleteObject" not in {a for n in NAMES for a in frugal.actions_of(n)}


def test_the_table_is_opened_by_family_of_keys(frugal: Profile) -> None:
    for name in NAMES:
        for s in frugal.statements_of(name):
            if any(a.startswith("dynamodb:") for a in listed(s["Action"])):
                keys = s["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
                assert set(listed(keys)) <= {"*#allowance#*", "*#control", "*#budget"}, name
                assert all(flat(r).endswith(":table/thrifty-hot") for r in listed(s["Resource"]))


def test_machines_start_and_call_only_what_their_file_names(profile: Profile) -> None:
    roles = {id: r for id, r in profile.every("AWS::IAM::Role") if id.startswith("machinesdistribution")}
    assert len(roles) == 1
    (role,) = roles.values()
    found = [s for p in role["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"]]
    invoked = next(s for s in found if s["Action"] == "lambda:InvokeFunction")
    assert len(listed(invoked["Resource"])) == 9
    started = next(s for s in found if s["Action"] == "states:StartExecution")
    assert flat(started["Resource"]).endswith(f":stateMachine:{profile.name}-analytics")


def test_agents_and_database_roles_are_those_of_the_program() -> None:
    for function in CATALOGUE:
        if function.name not in ("api", "api_money"):
            assert AGENT_OF[function.name] == function.agent, function.name
    assert set(DATABASE_USERS) <= set(DATABASE_ROLES)


def _key_reference(profile: Profile, description: str) -> str:
    """How the stateless stack refers to a key: the export that carries its logical id."""
    (id,) = [id for id, r in profile.every("AWS::KMS::Key") if description in r["Properties"].get("Description", "")]
    return id


def _secret_text(profile: Profile, resource: Any) -> str:
    """A secret's ARN as text, with the name of a secret of the stack where it is a reference."""
    text = flat(resource)
    for id, r in profile.every("AWS::SecretsManager::Secret"):
        if id in text:
            return str(r["Properties"]["Name"])
    return text


def test_a_job_draws_from_its_allowance_and_touches_its_own_kinds(profile: Profile) -> None:
    (role,) = [r["Properties"] for id, r in profile.every("AWS::IAM::Role") if id.startswith("jobsrenderrole")]
    found = [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
    written = {flat(r).rsplit("/", 2)[-2] for s in found if s.get("Sid") == "WriteMedia" for r in listed(s["Resource"])}
    assert written == {"video", "captions", "images", "reports", "costs"}
    keys = {
        k
        for s in found
        if s.get("Sid") == "WriteHot"
        for k in listed(s["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
    }
    assert keys == {"*#allowance#*"}
    assert not any(a.startswith(("rds-db:", "secretsmanager:")) for s in found for a in listed(s["Action"]))
    signs = [listed(s["Resource"]) for s in found if "kms:Sign" in listed(s["Action"])]
    assert signs == ([[PRODUCTION["content_key"]]] if profile.name == "studio" else [])  # manifests, nothing else


def test_a_former_key_is_still_believed_and_signs_for_its_own_agent_until_the_ledger_passes_on(
    production: Profile,
) -> None:
    former = PRODUCTION["former_cfo_keys"]
    for name in ("approve", "voice", "api"):
        assert former in production.resources_of(name, "kms:GetPublicKey"), name
    signers = {n for n in NAMES if former in production.resources_of(n, "kms:Sign")}
    assert {"approve", "recover"} <= signers
    assert signers == CFO_SIGNERS & set(NAMES)
    variable = flat(production.function("approve")["Environment"]["Variables"]["CHIMERA_CFO_KEY_ARNS"])
    assert variable.endswith(f" {former}")
    names = {p["AliasName"] for p in production.properties("AWS::KMS::Alias")}
    assert {"alias/studio-cfo-2", "alias/studio-seal"} <= names


def test_the_api_signs_forms_for_uploads_and_templates_and_starts_their_ingest(profile: Profile) -> None:
    written = {flat(r).partition("tenants/")[2] for r in profile.resources_of("api", "s3:PutObject")}
    assert written == {"*/templates/*", "*/uploads/*"}
    started = {flat(r).rsplit("-", 1)[-1] for r in profile.resources_of("api", "states:StartExecution")}
    assert started == {"supervisor", "research", "ingest"}
