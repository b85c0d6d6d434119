#!/usr/bin/python3
"""Holds what a simulator's log says was sent against LINE's OpenAPI files.

    openapi_check.py DIR LOG     DIR has messaging-api.yml and webhook.yml

Prints a line for each call with how many were seen, and each violation.
Exit status: 0 all is valid, 1 something is not, 2 nothing was seen.

OpenAPI chooses a subtype by "discriminator", which JSON Schema does not know:
it is turned into one if/then for each subtype. A subtype refers back to its
base ("allOf"), which must then be the base without the choice.
"""

import collections
import json
import sys

import jsonschema
import yaml

SCHEMAS = "#/components/schemas/"


def plain_bases(node, bases):
    """A copy in which references to a base go to the base without a choice."""
    if isinstance(node, list):
        return [plain_bases(item, bases) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: plain_bases(value, bases) for key, value in node.items()}
    node["allOf"] = [
        {"$ref": part["$ref"] + ".plain"}
        if part.get("$ref", "").removeprefix(SCHEMAS) in bases else part
        for part in node.get("allOf", [])
    ]
    return node if node["allOf"] else {
        key: value for key, value in node.items() if key != "allOf"}


def with_choice(schema):
    """The schema with its discriminator as if/then, and all types known."""
    discriminator = schema["discriminator"]
    name, mapping = discriminator["propertyName"], discriminator["mapping"]
    choices = [
        {"if": {"properties": {name: {"const": value}}},
         "then": {"$ref": target}} for value, target in mapping.items()
    ]
    return {"required": [name], "allOf": choices,
            "properties": {name: {"enum": list(mapping)}}}


def load(path):
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    schemas = document["components"]["schemas"]
    bases = {name for name, schema in schemas.items()
             if "mapping" in schema.get("discriminator", {})}
    ready = {}
    for name, schema in schemas.items():
        if name in bases:
            ready[name] = with_choice(schema)
            ready[name + ".plain"] = schema
        else:
            ready[name] = plain_bases(schema, bases)
    document["components"]["schemas"] = ready
    return document


def validator(document, reference):
    resolver = jsonschema.RefResolver("", document)
    return jsonschema.Draft7Validator({"$ref": reference}, resolver=resolver)


def errors_of(check, body):
    try:
        value = json.loads(body)
    except ValueError as error:
        return [f"not JSON: {error}"]
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
            for error in check.iter_errors(value)]


def request_schema(document, method, path):
    operation = document["paths"].get(path, {}).get(method.lower())
    if operation is None:
        return None
    content = operation["requestBody"]["content"]["application/json"]
    return content["schema"]["$ref"]


def main(directory, log):
    messaging = load(f"{directory}/messaging-api.yml")
    callback = validator(load(f"{directory}/webhook.yml"),
                         SCHEMAS + "CallbackRequest")
    seen, bad = collections.Counter(), 0
    with open(log, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    for record in records:
        if record["kind"] == "request":
            call = f"{record['method']} {record['path']}"
            reference = request_schema(messaging, record["method"],
                                       record["path"])
            errors = ["not in the schema"] if reference is None else \
                errors_of(validator(messaging, reference), record["body"])
        elif record["kind"] == "webhook":
            call, errors = "webhook", errors_of(callback, record["body"])
        else:
            continue
        seen[call] += 1
        for error in errors:
            bad += 1
            print(f"{call}: {error}\n  {record['body'][:400]}")
    for call, count in sorted(seen.items()):
        print(f"{count:6} {call}")
    return 2 if not seen else int(bad > 0)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
