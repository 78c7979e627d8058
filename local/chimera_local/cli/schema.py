"""`chimera schema`: the contracts as JSON Schema, for other programs to check against."""

from __future__ import annotations

import json

import click
from pydantic import BaseModel

from chimera.domain import models
from chimera.domain.bill import BillOfMaterials
from chimera.domain.options import RunOptions
from chimera.domain.personas import PersonaForm
from chimera.errors import ChimeraError
from chimera.media.timeline import Timeline
from chimera.templates.storyboard import Storyboard


def schemas() -> dict[str, type[BaseModel]]:
    """Every contract model by its command-line name (`SafetyReport` -> `safety-report`)."""
    found: dict[str, type[BaseModel]] = {"run-options": RunOptions, "bill-of-materials": BillOfMaterials}
    found["storyboard"], found["timeline"], found["persona-form"] = Storyboard, Timeline, PersonaForm
    for name, value in vars(models).items():
        if isinstance(value, type) and issubclass(value, models.Model) and value is not models.Model:
            found["".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))] = value
    return found


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="The names as a JSON list.")
def schema(name: str | None, as_json: bool) -> int:
    """Print the JSON Schema of a contract; without NAME, the names there are."""
    found = schemas()
    if name == "template":  # a file that people write: its schema is not a model's
        from chimera.templates.schema import pack_schema

        click.echo(json.dumps(pack_schema(), indent=2))
        return 0
    names = sorted([*found, "template"])
    if name is None:
        click.echo(json.dumps(names) if as_json else "\n".join(names))
        return 0
    if name not in found:
        raise ChimeraError("NOT_FOUND", f"no schema {name!r}; there are: {', '.join(names)}", {"name": name})
    click.echo(json.dumps(found[name].model_json_schema(), indent=2))
    return 0
