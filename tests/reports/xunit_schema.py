"""What the schema of Jenkins' xUnit plugin (junit-10.xsd) allows in a JUnit file, as far as ours could miss it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testsuite", "properties", "testcase", "system-out", "system-err"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
    "properties": {"property"},
}
"""Element -> what may stand in it; any other element holds text alone."""
ATTRIBUTES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
         "file", "log", "url"},
        {"name", "tests", "failures", "errors"},
    ),
    "testcase": ({"name", "time", "classname", "group"}, {"name"}),
    "property": ({"name", "value"}, {"name", "value"}),
    **dict.fromkeys(("failure", "error", "skipped"), ({"type", "message"}, set())),
}  # fmt: skip
"""Element -> the attributes that it may have, and those that it must have."""
SUITE_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def broken_rules(root: ET.Element) -> list[str]:
    """Returns every place at which the document breaks the schema."""
    found = [] if root.tag == "testsuites" else [f"the root is {root.tag}"]
    for element in root.iter():
        allowed, required = ATTRIBUTES.get(element.tag, (set(), set()))
        found += [f"{name} at {element.tag}" for name in sorted(set(element.attrib) - allowed)]
        found += [f"no {name} at {element.tag}" for name in sorted(required - set(element.attrib))]
        children = {child.tag for child in element}
        found += [f"{name} inside {element.tag}" for name in sorted(children - CHILDREN.get(element.tag, set()))]
        if element.tag in {"testsuites", "testsuite"} and not SUITE_TIME.fullmatch(element.get("time", "0")):
            found.append(f"time {element.get('time')} at {element.tag}")
        if element.tag in CHILDREN and (element.text or "").strip():
            found.append(f"text in {element.tag}")
    return found
