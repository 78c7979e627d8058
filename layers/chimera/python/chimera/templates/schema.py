"""The JSON Schema of a template pack, made from the models of layers and scenes; and its errors, said for people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from chimera.media.layers import CaptionLook, Layer
from chimera.templates.packs import Pack
from chimera.templates.problems import MOST, Problem, nearest, shown
from chimera.templates.semver import NAME
from chimera.templates.storyboard import PictureWish, StoryScene

EXPRESSION = r"\{\{"
IDENTIFIER = r"^[a-z][a-z0-9_-]{0,59}$"
VARIABLE = r"^[a-z][a-z0-9_]{0,39}$"
ASPECTS = ("9:16", "16:9", "1:1")
Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "maxLength": 4000}
_CONTROL: Schema = {
    "for": {"type": "string", "pattern": r"^\s*[A-Za-z_]\w*\s+in\s+\S", "description": "`NAME in LIST`"},
    "when": {"type": ["string", "boolean"], "description": "An expression; the item is left out where it is false"},
    "let": {"type": "object", "propertyNames": {"pattern": VARIABLE}, "description": "Names for expressions below"},
}
_COLOUR: Schema = {"type": "string", "pattern": r"^#[0-9a-fA-F]{6}$"}
_PARAMETER: Schema = {
    "type": "object",
    "required": ["type"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["string", "number", "integer", "boolean", "colour", "choice", "list"]},
        "default": {},
        "min": {"type": "number"},
        "max": {"type": "number"},
        "choices": {"type": "array", "minItems": 1, "maxItems": 60, "items": {"type": ["string", "number"]}},
        "title": {"type": "string", "maxLength": 120},
        "description": {"type": "string", "maxLength": 500},
    },
    "if": {"properties": {"type": {"const": "choice"}}},
    "then": {"required": ["choices"]},
}
_BLOCK: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "description": {"type": "string", "maxLength": 500},
        "arguments": {
            "type": "object",
            "propertyNames": {"pattern": VARIABLE},
            "additionalProperties": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {"default": {}, "description": {"type": "string", "maxLength": 500}},
            },
        },
        "layers": {"$ref": "#/$defs/layers"},
        "scenes": {"$ref": "#/$defs/scenes"},
    },
    "minProperties": 1,
    "if": {"required": ["layers"]},
    "then": {"not": {"required": ["scenes"]}},
    "else": {"required": ["scenes"]},
}


@lru_cache(maxsize=1)
def pack_schema() -> Schema:
    """JSON Schema (2020-12) of `template.yaml`. Wherever a value is expected, a text with `{{ … }}` may stand."""
    layers = TypeAdapter(Layer).json_schema()
    kinds = {
        name.removesuffix("Layer").lower(): body for name, body in layers["$defs"].items() if name.endswith("Layer")
    }
    defs: Schema = {
        name: _loose(body) for name, body in layers["$defs"].items() if name not in {"Area"} and "Layer" not in name
    }
    for kind, body in kinds.items():
        defs[f"{kind}-layer"] = _placed(body, kind)
    picture = PictureWish.model_json_schema()
    scene = StoryScene.model_json_schema()
    defs |= {
        "area": _AREA,
        "parameter": _PARAMETER,
        "block": _BLOCK,
        "picture": _object(picture["properties"], areas=("window", "focus")),
        "scene": _object(
            {**scene["properties"], "picture": {"$ref": "#/$defs/picture"}, "layers": {"$ref": "#/$defs/layers"}},
            more=_CONTROL,
        ),
        "use": _used(),
        "layers": _items("layers", "layer"),
        "scenes": _items("scenes", "scene"),
        "scene-group": _group("scenes"),
        "layer-group": _group("layers"),
        "layer": {
            "type": "object",
            "required": ["kind", "box"],
            "properties": {"kind": {"enum": sorted(kinds)}},
            "allOf": [
                {
                    "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                    "then": {"$ref": f"#/$defs/{kind}-layer"},
                }
                for kind in sorted(kinds)
            ],
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://chimera.studio/schemas/template.json",
        "title": "Chimera template",
        "type": "object",
        "required": ["name", "version", "title"],
        "additionalProperties": False,
        "properties": _head(),
        "$defs": defs,
    }


def _head() -> Schema:
    regions = {
        "type": "object",
        "propertyNames": {"pattern": IDENTIFIER},
        "additionalProperties": {"$ref": "#/$defs/area"},
    }
    look = CaptionLook.model_json_schema()["properties"]
    captions = {k: v for k, v in look.items() if k not in {"soft", "mask_profanity"}}
    theme = dict.fromkeys(("background", "surface", "accent", "highlight", "ink"), _COLOUR)
    fonts = {key: {"type": "string", "maxLength": 200} for key in ("display_font", "text_font")}
    return {
        "name": {"type": "string", "pattern": f"^{NAME}$", "maxLength": 60},
        "version": {"type": "string", "description": "Semantic: 1.0.0"},
        "title": {"type": "string", "minLength": 1, "maxLength": 120},
        "description": {"type": "string", "maxLength": 1000},
        "kind": {"type": "string", "pattern": IDENTIFIER, "description": "What sort of video it makes"},
        "author": {"type": "string", "maxLength": 200},
        "licence": {"type": "string", "maxLength": 200},
        "extends": {"type": "string", "pattern": f"^{NAME}@\\S+$", "description": "NAME@RANGE of the parent"},
        "parameters": {
            "type": "object",
            "propertyNames": {"pattern": VARIABLE},
            "maxProperties": 50,
            "additionalProperties": {"$ref": "#/$defs/parameter"},
        },
        "regions": {
            "type": "object",
            "additionalProperties": False,
            "properties": {**dict.fromkeys(ASPECTS, regions), "all": regions},
        },
        "captions": _object(captions, areas=("box",)),
        "music": _TEXT,
        "theme": {"type": "object", "additionalProperties": False, "properties": {**theme, **fonts}},
        "logo": _object({"box": {}}, areas=("box",)),
        "roles": {
            "type": "object",
            "propertyNames": {"pattern": VARIABLE},
            "maxProperties": 8,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"title": {"type": "string"}, "description": {"type": "string"}},
            },
        },
        "blocks": {
            "type": "object",
            "propertyNames": {"pattern": IDENTIFIER, "not": {"enum": ["super", "scenes", "let", "with"]}},
            "additionalProperties": {"$ref": "#/$defs/block"},
        },
        "scenes": {"$ref": "#/$defs/scenes"},
    }


_AREA: Schema = {
    "description": "A region's name, [x, y, width, height] as fractions of the safe area, or a cut from a region",
    "type": ["string", "array", "object"],
    "minItems": 4,
    "maxItems": 4,
    "items": {"type": ["number", "string"]},
    "additionalProperties": False,
    "properties": {
        "from": {"type": "string"},
        "part": {"type": ["array", "string"], "minItems": 4, "maxItems": 4},
        **{key: {"type": ["integer", "string"]} for key in ("row", "rows", "column", "columns")},
        "gap": {"type": ["number", "string"]},
        "inset": {"type": ["number", "array", "string"], "minItems": 4, "maxItems": 4},
        "mirror": {"type": ["boolean", "string"]},
    },
}


def _used() -> Schema:
    properties = {**_CONTROL, "use": {"type": "string", "minLength": 1}, "with": {"type": "object"}}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _group(key: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {**_CONTROL, key: {"$ref": f"#/$defs/{key}"}},
    }


def _items(key: str, one: str) -> Schema:
    # a scene has `layers` of its own, so only the key of its own kind makes a group
    choose: Schema = {
        "type": "object",
        "if": {"required": ["use"]},
        "then": {"$ref": "#/$defs/use"},
        "else": {
            "if": {"required": [key]},
            "then": {"$ref": f"#/$defs/{one}-group"},
            "else": {"$ref": f"#/$defs/{one}"},
        },
    }
    return {"type": "array", "maxItems": 300, "items": choose}


def _placed(body: Mapping[str, Any], kind: str) -> Schema:
    made = _object(body["properties"], areas=("box",), more=_CONTROL)
    made["properties"]["kind"] = {"const": kind}
    made["required"] = [name for name in body.get("required", []) if name != "kind"]
    return made


def _object(
    properties: Mapping[str, Any], *, areas: tuple[str, ...] = (), more: Mapping[str, Any] | None = None
) -> Schema:
    made = {k: v if "$ref" in v and not areas else _either(v) for k, v in properties.items() if k not in areas}
    made |= {name: {"$ref": "#/$defs/area"} for name in areas}
    return {"type": "object", "additionalProperties": False, "properties": {**made, **(more or {})}}


def _either(value: Any) -> Any:
    """The schema, or a text with an expression."""
    loose = _loose(value)
    if not isinstance(loose, dict) or loose.get("$ref", "").endswith(("/layers", "/scenes", "/picture")):
        return loose
    kept = {key: loose.pop(key) for key in ("description", "default", "title") if key in loose}
    return {**kept, "if": {"type": "string", "pattern": EXPRESSION}, "else": loose}


def _loose(value: Any) -> Any:
    """A model's schema with every inner value loosened the same way."""
    if isinstance(value, list):
        return [_loose(part) for part in value]
    if not isinstance(value, dict):
        return value
    made = {k: v for k, v in value.items() if k not in {"title", "discriminator"}}
    if isinstance(made.get("properties"), dict):
        made["properties"] = {k: _either(v) for k, v in made["properties"].items()}
    if "items" in made:
        made["items"] = _either(made["items"])
    if "anyOf" in made and {"type": "null"} in made["anyOf"] and len(made["anyOf"]) == 2:
        (only,) = [part for part in made.pop("anyOf") if part != {"type": "null"}]
        made |= only
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
    if made.get("type") == "array":
        made["type"] = "array"
    return made


# --- errors


def check(pack: Pack) -> list[Problem]:
    """Everything in the pack's YAML that is not of the form it should have, with its line and a fix."""
    from jsonschema import Draft202012Validator

    problems: list[Problem] = []
    for error in Draft202012Validator(pack_schema()).iter_errors(dict(pack.data)):
        problems += _problems(error, pack)
    problems.sort(key=lambda p: (p.line, p.column))
    return list(dict.fromkeys(problems))[:MOST]


def _problems(error: Any, pack: Pack) -> list[Problem]:
    path = tuple(error.absolute_path)
    document, came = pack.document, shown(error.instance)
    kind, wanted = error.validator, error.validator_value
    if kind == "additionalProperties" and wanted is False:
        known = error.schema.get("properties", {})
        extra = [key for key in error.instance if key not in known]
        return [document.problem((*path, key), "unknown key", nearest(key, known), key=True) for key in extra]
    if kind == "required":
        missing = [key for key in wanted if key not in error.instance]
        fix = f"add `{missing[0]}:`" if missing else ""
        if "kind" in wanted and "kind" in missing:
            kinds = ", ".join(error.schema["properties"]["kind"]["enum"])
            return [document.problem(path, "a layer without `kind`", f"add `kind:` ({kinds}) or `use: BLOCK`")]
        return [document.problem(path, f"{' and '.join(missing)} missing", fix)]
    if "propertyNames" in error.absolute_schema_path:
        key = str(error.instance)
        return [document.problem((*path, key), "not a name", "use small letters, digits and _ or -", key=True)]
    if kind in {"enum", "const"}:
        choices = [str(w) for w in (wanted if kind == "enum" else [wanted])]
        near = nearest(error.instance, choices)
        return [
            document.problem(path, f"got {came}, expected one of {', '.join(choices)}", near if "mean" in near else "")
        ]
    if kind == "not":
        return [document.problem(path, "a block holds `layers` or `scenes`, not both", "make two blocks")]
    return [
        document.problem(path, f"got {came}, expected {expected(error.schema)}", _fix(error.instance, error.schema))
    ]


def expected(schema: Mapping[str, Any]) -> str:
    """What a schema takes, in words."""
    if "description" in schema and ("pattern" in schema or isinstance(schema.get("type"), list)):
        text = str(schema["description"])
        return text if text[1:2].isupper() else text[:1].lower() + text[1:]
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kinds = schema.get("type", "a value")
    names = {
        "object": "a mapping",
        "array": "a list",
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
    }
    names |= {"boolean": "true or false", "null": "nothing"}
    text = " or ".join(names.get(k, k) for k in ([kinds] if isinstance(kinds, str) else kinds))
    for key, word in (
        ("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"),
        ("minLength", "at least (characters)"), ("maxLength", "at most (characters)"),
        ("minItems", "at least (items)"), ("maxItems", "at most (items)"), ("pattern", "of the form"),
    ):  # fmt: skip
        if key in schema:
            text += f" {word} {schema[key]}"
    return text


def _fix(came: Any, schema: Mapping[str, Any]) -> str:
    wants = schema.get("type")
    if wants == "string" and isinstance(came, int | float | bool):
        return f"quote it: '{came}'"
    if wants == "string" and isinstance(came, Mapping):
        return "a text that begins with {{ needs quotes around it"
    if wants in ("number", "integer") and isinstance(came, str):
        return "write a number, or an expression in {{ … }}"
    return ""
