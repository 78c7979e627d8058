"""Which regions Chimera knows, and which of them have the machines of the GPU queue.

Source: `aws ec2 describe-instance-type-offerings` for g5, as recorded in validatedpatterns/rag-llm-gitops pull request 52
(2025). A region that AWS adds later is one line here.
"""

from __future__ import annotations

GPU_REGIONS = frozenset(
    {
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    }
)
"""Regions with g6 or g5."""

REGIONS = GPU_REGIONS | {"ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2"}
"""Regions with every service that both profiles use."""
