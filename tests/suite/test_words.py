"""Every kind of text is read, every phrase and every long sentence in it is found, and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from words import RULES, check, count_words, read_rules, sentences

LONG = " ".join(["word"] * 36) + "."
FITS = " ".join(["word"] * 35) + "."

PLANTED = [
    pytest.param("README.md", "# Title\n\nThe harness cannot\nvouch for *its own* figures.\n", 3, id="paragraph"),
    pytest.param("docs/page.md", "# The harness cannot vouch for it\n", 1, id="heading"),
    pytest.param("docs/page.md", f"- one\n- {LONG}\n", 2, id="list item"),
    pytest.param("docs/page.md", "| a | b |\n|---|---|\n| c | **Nobody** talked |\n", 3, id="table cell"),
    pytest.param("docs/page.md", f"Short.\nIt goes on. {LONG}\n", 2, id="second sentence of a paragraph"),
    pytest.param("docs/page.md", f"See [{LONG[:-1]}](https://example.org/).\n", 1, id="link"),
    pytest.param("CHANGELOG.md", "# Changes\n\n## 2\n\n- Late: how the load moves.\n\n## 1\n", 5, id="changelog"),
    pytest.param("calls/a.py", f'"""First.\n\n{LONG}\n"""\n', 3, id="module docstring"),
    pytest.param("calls/a.py", f'def f():\n    """First.\n\n    - {LONG}\n    """\n', 4, id="list in a docstring"),
    pytest.param("calls/a.py", f'A = 1\n"""{LONG}"""\n', 2, id="docstring of an attribute"),
    pytest.param("calls/a.py", "# It is never\n# as long as ever.\n", 1, id="comment"),
    pytest.param("calls/a.py", "print(f'{a} cannot vouch for {b}')\n", 1, id="f-string"),
    pytest.param("calls/a.py", "print('it cannot '\n  f'vouch for {b}')\n", 1, id="adjacent strings"),
    pytest.param("calls/a.py", "print('it cannot ' + 'vouch for it')\n", 1, id="added strings"),
    pytest.param("calls/a.py", f"print('ok\\n{LONG}')\n", 1, id="second line of a message"),
    pytest.param("calls/a.py", "print(f'known to {a:.1f} ms')\n", 1, id="number in a phrase"),
    pytest.param("calls/a.py", "app(help='Of everything that is drawn.')\n", 1, id="help"),
    pytest.param("calls/a.py", "COLUMN = 'Writer'\n", 1, id="whole label"),
    pytest.param("calls/a.py", "table = _table('role', 'writer')\n", 1, id="heading of a table in small letters"),
    pytest.param("tests/test_a.py", f'def test_a():\n    """{LONG}"""\n', 2, id="docstring of a test"),
    pytest.param("reports/a.html", "<p>\nThe harness cannot <b>vouch\nfor</b> it.</p>", 2, id="page"),
    pytest.param("reports/a.html", "<table><tr><th>Writer</th></tr></table>", 1, id="table header of a page"),
    pytest.param("reports/a.html", '<input placeholder="how the load moves">', 1, id="attribute of a page"),
    pytest.param("reports/a.html", "<p>\n{{ name }} cannot vouch for {{ it }}</p>", 2, id="template"),
    pytest.param("reports/a.html", "<script>\nf('nobody talked')</script>", 2, id="script of a page"),
    pytest.param("web/a.js", "const a = 1; // as long\n// as ever\n/* nobody talked */", 3, id="comment of a script"),
    pytest.param("web/a.js", "say('nobody talked');", 1, id="string of a script"),
    pytest.param("web/a.js", "say(`${a.map((x) => `${x}`)} lost by itself`);", 1, id="template of a script"),
    pytest.param("web/a.js", f"x = a / b;\nsay('{LONG}');", 2, id="long sentence of a script"),
    pytest.param("web/a.css", "/* nobody talked */", 1, id="style sheet"),
    pytest.param("plans/a.toml", "a = 1 # of '#'\n# nobody talked\n", 2, id="comment of a plan"),
    pytest.param("plans/a.toml", f'a = 1\ndescription = "{LONG}"\n', 2, id="description of a plan"),
]

FALSE_ALARMS = [
    pytest.param("README.md", f"{FITS}\n", id="sentence of the greatest length"),
    pytest.param("README.md", f"```\n{LONG} nobody talked\n```\n", id="code block"),
    pytest.param("README.md", f"    {LONG}\n", id="indented code"),
    pytest.param("README.md", f"Run `{LONG}` once.\n", id="code in a sentence counts as one word"),
    pytest.param("README.md", f"# {FITS[:-1]}\n\n{FITS[:-1]}\n\n- {FITS[:-1]}\n- {FITS[:-1]}\n", id="no end marks"),
    pytest.param("README.md", f"| {FITS[:-1]} | {FITS[:-1]} |\n|---|---|\n", id="cells are texts of their own"),
    pytest.param("README.md", "The writer of a segment is named, with the late seconds of each.\n", id="label inside"),
    pytest.param("README.md", "A packet that is late by 5 ms, as long as everything else holds.\n", id="near phrases"),
    pytest.param("CHANGELOG.md", f"# Changes\n\n## 2\n\n- Now.\n\n## 1\n\n- {LONG}\n", id="older changes"),
    pytest.param("calls/a.py", f'"""First.\n\nExample::\n\n    {LONG}\n\nEnd.\n"""\n', id="literal block"),
    pytest.param("calls/a.py", f'"""First.\n\nOne\n|-- {FITS[:-1]}\n`-- {FITS[:-1]}\n"""\n', id="drawn tree"),
    pytest.param("calls/a.py", f"# one    {FITS[5:-1]}\n# other  {FITS[5:-1]}\n", id="drawn table"),
    pytest.param("calls/a.py", f'Q = "SELECT a FROM b WHERE {LONG}"\n', id="query"),
    pytest.param("calls/a.py", f'Q = "{"--word=3 " * 40}"\n', id="command line"),
    pytest.param("calls/a.py", f'Q = "{"a_b.c: " * 40}"\n', id="names"),
    pytest.param("calls/a.py", f'Q = "{FITS} {FITS}"\n', id="two sentences"),
    pytest.param("calls/a.py", f"# {FITS[:-1]}\n\n# {FITS[:-1]}\n", id="two comments"),
    pytest.param("calls/a.py", f"a = 1  # {FITS[:-1]}\n# {FITS[:-1]}\n", id="comment behind code is its own"),
    pytest.param("calls/a.py", "OPTION = '--writer'\n", id="option"),
    pytest.param("calls/a.py", "row['writer'] = 'writer'\n", id="name of a column"),
    pytest.param("calls/a.py", "# noqa: nobody talked\n", id="directive"),
    pytest.param("tests/test_a.py", f"TEXT = 'nobody talked. {LONG}'\n", id="string of a test"),
    pytest.param("web/a.js", "row['writer'] = 'writer';", id="name of a field"),
    pytest.param("web/a.js", f"const pattern = /'/;\nf('{FITS}'); g(\"{FITS}\");", id="quote in a pattern"),
    pytest.param("web/a.js", f"const html = `<p class='{FITS}'>${{a}}</p>`;", id="markup in a script"),
    pytest.param("web/a.html", f"<p>{FITS[:-1]}</p><p>{FITS[:-1]}</p><style>{LONG}</style>", id="paragraphs of a page"),
    pytest.param("node_modules/a/README.md", LONG, id="somebody else's file"),
    pytest.param(".venv/a.py", f'"""{LONG}"""', id="environment"),
    pytest.param(
        "plans/a.toml", 'a = "x # nobody talked"\nb = "y"\n'.replace("nobody talked", "z"), id="hash in a value"
    ),
]


def plant(project: Path, name: str, text: str) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("name", "text", "line"), PLANTED)
def test_a_planted_text_is_found_once_at_its_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    plant(tmp_path, name, text)
    found = check(tmp_path, read_rules())
    assert [(str(finding.path.relative_to(tmp_path)), finding.line) for finding in found] == [(name, line)]


@pytest.mark.parametrize(("name", "text"), FALSE_ALARMS)
def test_what_is_allowed_passes(tmp_path: Path, name: str, text: str) -> None:
    plant(tmp_path, name, text)
    assert check(tmp_path, read_rules()) == []


def test_a_finding_says_what_to_write_instead(tmp_path: Path) -> None:
    plant(tmp_path, "README.md", f"Nobody talked.\n\n{LONG}\n")
    phrase, long = check(tmp_path, read_rules())
    assert phrase.sentence == "Nobody talked."
    assert phrase.advice == "write instead: no calls judged"
    assert long.advice == "36 words (allowed 35): make two sentences or a list of it"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ("A file, e.g. one of i.e. two, etc. of RFC 3550 vs. no. 7.", 1),
        ("It takes 3.5 s at 1.2.3.4 and `a. B.` of it.", 1),
        ("Busy, declined, ... are not counted.", 1),
        ('It says "no." Then it ends.', 2),
        ("It ends (at once.) Then it begins.", 2),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, count: int) -> None:
    assert len(list(sentences(text))) == count


@pytest.mark.parametrize(
    ("sentence", "count"),
    [("Two words", 2), ("`a b c` is one", 3), ("{} of {}", 3), ("8.7 % of calls", 3), ("a · b -> c", 3), ("a/b", 1)],
)
def test_words_are_counted_as_a_reader_counts_them(sentence: str, count: int) -> None:
    assert count_words(sentence) == count


def test_every_phrase_of_the_rules_is_found_by_its_own_pattern(tmp_path: Path) -> None:
    for entry in tomllib.loads(RULES.read_text(encoding="utf-8"))["phrase"]:
        for words in entry["find"]:
            plant(tmp_path, "README.md", words.replace("#", "7.5").capitalize() + "\n")
            assert entry["instead"] in check(tmp_path, read_rules())[0].advice
