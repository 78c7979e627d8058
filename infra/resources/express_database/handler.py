"""Owns an Aurora PostgreSQL cluster of express configuration, which CloudFormation has no property for.

Called by CDK's provider framework: `on_event` begins a change and answers at once, `is_complete` is asked until the
change is done. Every step can be repeated: what is there already is not made again, what is gone is not deleted again.

What the RDS API documents and what others have seen of it (ADR 13): the call takes an identifier, the engine, tags and
`WithExpressConfiguration`; database name, engine version and network cannot be chosen; one writer is made with it.
"""

from __future__ import annotations

import time
from typing import Any

CREATE = "before-call.rds.CreateDBCluster"


def on_event(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Begin to create, change or delete the cluster named by the property `Cluster`."""
    cluster = str(event["ResourceProperties"]["Cluster"])
    rds = _client()
    kind = event["RequestType"]
    if kind == "Delete":
        _begin_delete(rds, str(event["PhysicalResourceId"]))
        return {}
    if kind == "Update" and event["PhysicalResourceId"] != cluster:
        raise ValueError(
            f"the database would be renamed from {event['PhysicalResourceId']!r} to {cluster!r} and lose its data; "
            "deploy under the old name, or copy the data by snapshot (docs/aws/operate.md)"
        )
    if kind == "Create" and _find(rds, cluster) is not None:
        raise ValueError(
            f"there is a database cluster {cluster!r} already that this stack does not own; "
            "choose another name for this deployment, or delete the cluster first"
        )
    if kind == "Create":
        rds.create_db_cluster(
            DBClusterIdentifier=cluster,
            Engine="aurora-postgresql",
            Tags=[{"Key": k, "Value": v} for k, v in sorted(event["ResourceProperties"].get("Tags", {}).items())],
        )
    return {"PhysicalResourceId": cluster}


def is_complete(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Whether the change is done; with the cluster's addresses once it is available."""
    rds = _client()
    properties = event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        return {"IsComplete": _deleted(rds, str(event["PhysicalResourceId"]))}
    found = _find(rds, str(properties["Cluster"]))
    if found is None:
        raise ValueError(f"the database cluster {properties['Cluster']!r} has vanished while it was waited for")
    if found["Status"] in ("failed", "inaccessible-encryption-credentials", "incompatible-parameters"):
        raise ValueError(f"the database cluster {properties['Cluster']!r} is {found['Status']!r}")
    if found["Status"] != "available" or not found.get("Endpoint"):
        return {"IsComplete": False}
    if changes := _changes(found, properties):
        rds.modify_db_cluster(DBClusterIdentifier=found["DBClusterIdentifier"], ApplyImmediately=True, **changes)
        return {"IsComplete": False}
    return {
        "IsComplete": True,
        "Data": {
            "Endpoint": found["Endpoint"],
            "Port": str(found.get("Port", 5432)),
            "ResourceId": found["DbClusterResourceId"],
            "Arn": found["DBClusterArn"],
            "EngineVersion": found["EngineVersion"],
        },
    }


def _changes(found: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """What differs from what was asked for, as arguments of ModifyDBCluster."""
    asked = {
        "MinCapacity": float(properties["MinCapacity"]),
        "MaxCapacity": float(properties["MaxCapacity"]),
        "SecondsUntilAutoPause": int(properties["PauseSeconds"]),
    }
    now = found.get("ServerlessV2ScalingConfiguration") or {}
    changes: dict[str, Any] = {}
    if any(now.get(key) != value for key, value in asked.items()):
        changes["ServerlessV2ScalingConfiguration"] = asked
    if found.get("BackupRetentionPeriod") != (days := int(properties["BackupDays"])):
        changes["BackupRetentionPeriod"] = days
    if not found.get("CopyTagsToSnapshot"):
        changes["CopyTagsToSnapshot"] = True
    return changes


def _begin_delete(rds: Any, cluster: str) -> None:
    """Delete the instances, then the cluster with a last snapshot; a create that never was leaves nothing to delete."""
    found = _find(rds, cluster)
    if found is None or found["Status"] == "deleting" or not _ours(found):
        return
    if found.get("DeletionProtection"):
        raise ValueError(f"the database cluster {cluster!r} is protected from deletion; switch that off first")
    for member in found.get("DBClusterMembers", []):
        try:
            rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
        except rds.exceptions.DBInstanceNotFoundFault:
            continue
        except rds.exceptions.InvalidDBInstanceStateFault:
            continue  # it is being deleted already
    rds.delete_db_cluster(
        DBClusterIdentifier=cluster,
        SkipFinalSnapshot=False,
        FinalDBSnapshotIdentifier=f"{cluster}-final-{int(time.time())}",
    )


def _deleted(rds: Any, cluster: str) -> bool:
    found = _find(rds, cluster)
    return found is None or not _ours(found)


def _ours(found: dict[str, Any]) -> bool:
    """Only a cluster that carries this stack's tag is ever deleted."""
    return any(tag["Key"] == "chimera-owned" and tag["Value"] == "express" for tag in found.get("TagList", []))


def _find(rds: Any, cluster: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]
    except rds.exceptions.DBClusterNotFoundFault:
        return None
    return found


def _client() -> Any:
    import boto3

    rds = boto3.client("rds")
    rds.meta.events.register(CREATE, _express)
    return rds


def _express(params: dict[str, Any], **_: Any) -> None:
    """Put the parameter on the wire itself: Lambda's own boto3 may be older than it (the RDS API is a query API)."""
    params["body"]["WithExpressConfiguration"] = "true"
